"""An organization whose calls were rated by one card and are corrected by another."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    LONG_AGO,
    ORGANIZATION,
    WITHOUT_WAITING,
    ended,
    fact,
    holds,
    processed_event,
    purchase,
    volume,
)

from perminute.adapters.memory import PublishedRateCards
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.correct_rates import CorrectionTotal, CorrectRates, RateCorrection
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.rating.calls import LegType
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.formats.rate_card_csv import read_rate_card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stores import Stores

    from perminute.application.charge_calls import EndedCall
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reconciliation.reconciliation import Difference

NOVEMBER, DECEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
LATER = DECEMBER + timedelta(days=9)
SUBSCRIBER = "sam"
"""Has a subscription, of which there is one: 60 minutes a month."""


def version(name: str, *rows: str) -> RateCard:
    header = "leg_type,prefix,country,currency,rate_per_minute,connection_fee,blocked"
    return read_rate_card("\n".join([header, *rows]).encode(), version=name)


WRONG = version("wrong", "dialOut,49,DE,USD,0.15,,", "dialOut,44,GB,USD,0.02,,")
RIGHT = version("right", "dialOut,49,DE,USD,0.015,,", "dialOut,44,GB,USD,0.02,,")


@dataclass
class WrongRates:
    """An organization with 100 USD; `adele` pays by the minute."""

    stores: Stores
    cards: PublishedRateCards = field(default_factory=lambda: PublishedRateCards(WRONG))
    organization: str = ORGANIZATION

    def __post_init__(self) -> None:
        """Say what is known of the organization and its users."""
        subjects = {
            None: (*volume().facts, fact("purchased:MCOMEETADV", 1)),
            "adele": holds("payPerMinute", "communicationsCredits").facts,
            SUBSCRIBER: holds("subscription", "communicationsCredits").facts,
        }
        changes = [
            (
                LicensingChange(self.organization, subject, tuple(facts)),
                processed_event(
                    f"{self.organization}-{subject}", organization_id=self.organization
                ),
            )
            for subject, facts in subjects.items()
        ]
        self.stores.licensing.record(self.organization, changes)
        bought = processed_event(
            "po", kind=IdentityKind.PURCHASE, organization_id=self.organization
        )
        event = purchase(amount=100, organization_id=self.organization, processed_event=bought)
        assert isinstance(BookCredit(self.stores.credit, WITHOUT_WAITING)([event])[0], Accepted)

    def charge(self, *calls: EndedCall) -> None:
        charging = ChargeCalls(
            self.stores.credit,
            self.stores.calls,
            LicensingCache(self.stores.licensing),
            self.cards,
            WITHOUT_WAITING,
        )
        assert all(isinstance(one, Accepted) for one in charging(calls))

    def call(self, call_id: str, answered_at: datetime, **changed: Any) -> EndedCall:
        """Ten minutes to Germany."""
        return ended(
            organization_id=self.organization,
            call_id=call_id,
            answered_at=answered_at,
            ended_at=answered_at + timedelta(minutes=10),
            **changed,
        )

    @property
    def again(self) -> RecordedCalls:
        return RecordedCalls(
            credit=self.stores.credit,
            calls=self.stores.calls,
            licensing=LicensingCache(self.stores.licensing),
            rate_cards=self.cards,
            retry=WITHOUT_WAITING,
        )

    def preview(self, **changed: Any) -> CorrectionTotal:
        correction = CORRECTION._replace(**changed)
        batches = CorrectRates(self.again).preview(self.organization, correction)
        return sum(batches, start=CorrectionTotal())

    def book(self, **changed: Any) -> CorrectionTotal:
        correction = CORRECTION._replace(**changed)
        batches = CorrectRates(self.again).book(self.organization, correction)
        return sum(batches, start=CorrectionTotal())

    def settle(self) -> None:
        """Have carried out what waits, as the deployed function would."""
        while self.stores.credit.unsettled_months(self.organization):
            rerate = RerateCalls(self.again, self.stores.reratings)
            assert isinstance(rerate([ReratingRequest(self.organization)])[0], Accepted)

    def usages(self) -> dict[str, Usage]:
        lists = self.stores.calls.lists(self.organization, since=LONG_AGO)
        call_ids = [call.call_id for one in lists for call in one.calls]
        usages = self.stores.calls.usages(self.organization, call_ids)
        return {usage.call.call_id: usage for usage in usages}

    def differences(self) -> Sequence[Difference]:
        return reconcile(self.stores.credit.statement(self.organization))

    @property
    def balance_micros(self) -> int:
        return self.stores.credit.account(self.organization).balance_micros


CORRECTION = RateCorrection(version="right", since=NOVEMBER, until=DECEMBER, at=LATER)
TO_BRITAIN = {"remote_number": "+442079460100"}
TOLL = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
