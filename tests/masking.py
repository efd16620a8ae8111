"""An organization whose calls are charged, masked, delivered again and rated again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    ANSWERED,
    WITHOUT_WAITING,
    card,
    entitled_changes,
    phone_call,
    processed_event,
    purchase,
)

from perminute.adapters.memory import InMemoryUsageArchive, PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.mask_numbers import MaskedNumbers, MaskNumbers
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.ports.messaging import RunOrganization

if TYPE_CHECKING:
    from datetime import datetime

    from stores import Stores

    from perminute.application.results import Result
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage

KEPT = timedelta(days=30)
LATER = ANSWERED + KEPT + timedelta(days=1)


class MaskedWorld:
    """The functions over the stores, with an organization that has credit."""

    def __init__(self, stores: Stores, organization: str) -> None:
        self.stores, self.organization = stores, organization
        stores.licensing.record(organization, entitled_changes(organization))
        bought = purchase()
        key = bought.processed_event.key._replace(organization_id=organization)
        event = replace(
            bought,
            organization_id=organization,
            processed_event=bought.processed_event._replace(key=key),
        )
        assert isinstance(BookCredit(stores.credit, WITHOUT_WAITING)([event])[0], Accepted)
        licensing, cards = LicensingCache(stores.licensing), PublishedRateCards(card())
        parts = stores.credit, stores.calls, licensing, cards, WITHOUT_WAITING
        self.charge = ChargeCalls(*parts, content_keys=stores.keys)
        self.rerate = RerateCalls(RecordedCalls(*parts), stores.reratings)
        self.archive = InMemoryUsageArchive()
        self.mask_numbers = MaskNumbers(
            stores.content, stores.keys, WITHOUT_WAITING, KEPT, archive=self.archive
        )

    def call(self, call_id: str = "call-1", **changed: Any) -> Call:
        return phone_call(**{"organization_id": self.organization, "call_id": call_id, **changed})

    def deliver(self, call: Call) -> Result[Usage]:
        (result,) = self.charge([EndedCall(call, call.ended_at)])
        return result

    def charged(self, call_id: str = "call-1", **changed: Any) -> Usage:
        result = self.deliver(self.call(call_id, **changed))
        assert isinstance(result, Accepted), result
        return result.result

    def mask(self, at: datetime = LATER, after: str | None = None) -> MaskedNumbers:
        return self.mask_numbers(RunOrganization(at, self.organization, after=after))

    def usage(self, call_id: str = "call-1") -> Usage:
        (usage,) = self.stores.calls.usages(self.organization, [call_id])
        return usage

    def state(self, *facts: Fact, user: str | None = None, name: str = "late") -> None:
        """Let a licensing event arrive, and rate again what it concerns."""
        self.hear(*facts, user=user, name=name)
        self.rate_again()

    def hear(self, *facts: Fact, user: str | None = None, name: str = "late") -> None:
        """Let a licensing event arrive."""
        change = LicensingChange(self.organization, user, facts)
        key = processed_event(f"{self.organization}-{name}", organization_id=self.organization)
        apply = ApplyLicensing(self.stores.licensing, WITHOUT_WAITING)
        assert apply([LicensingEvent(change, key, ANSWERED)]) == [Accepted(None)]

    def rate_again(self) -> None:
        """Rate again what waits."""
        (result,) = self.rerate([ReratingRequest(self.organization)])
        assert isinstance(result, Accepted), result

    def check(self) -> None:
        assert reconcile(self.stores.credit.statement(self.organization)) == ()
