"""An organization whose calls are charged, changed and explained, over stores of either kind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    ANSWERED,
    ENDED,
    ORGANIZATION,
    ORGANIZER,
    WITHOUT_WAITING,
    card,
    fact,
    holds,
    phone_call,
    processed_event,
    purchase,
    volume,
)

from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.authorize_call import AuthorizeCall, ReceivedRequest
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.daily_expiry import ChargeReported
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.reporting.explain_call import explain_call
from perminute.application.reporting.reader import ReportReader
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.application.retry import NEVER
from perminute.domain.authorization.reservations import ChargingRequest, Operation
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import LicensingChange

if TYPE_CHECKING:
    from datetime import datetime

    from stores import Stores

    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.usage_record import Outcome
    from perminute.domain.reporting.explanation import Explanation

HOUR = timedelta(hours=1)
CREDITS = fact(license_attribute("MCOPSTNC"), value=True)
TAKEN = replace(CREDITS, value=False, effective_at=ANSWERED, issued_at=ANSWERED)


@dataclass
class World:
    """The functions over stores, for an organization with credit."""

    stores: Stores
    organization: str = ORGANIZATION
    cards: PublishedRateCards = field(default_factory=lambda: PublishedRateCards(card()))
    events: int = 0

    def __post_init__(self) -> None:
        self.licensed(*volume().facts)
        self.licensed(*holds("payPerMinute", "communicationsCredits").facts, user=ORGANIZER)
        bought = purchase(amount=1)
        key = bought.processed_event.key._replace(organization_id=self.organization)
        event = bought.processed_event._replace(key=key)
        of_ours = replace(bought, organization_id=self.organization, processed_event=event)
        (result,) = BookCredit(self.stores.credit, WITHOUT_WAITING)([of_ours])
        assert isinstance(result, Accepted)
        self.rerate()

    @property
    def recorded(self) -> RecordedCalls:
        return RecordedCalls(*self.parts)

    @property
    def parts(self) -> tuple[Any, ...]:
        stores, licensing = self.stores, LicensingCache(self.stores.licensing)
        return stores.credit, stores.calls, licensing, self.cards, WITHOUT_WAITING

    @property
    def reader(self) -> ReportReader:
        return self.reader_of(self.stores)

    def reader_of(self, stores: Stores) -> ReportReader:
        """Return what reports are read from, over stores of the same data."""
        return ReportReader(
            accounts=stores.accounts,
            postings=stores.postings,
            credit=stores.credit,
            calls=stores.calls,
            licensing=LicensingCache(stores.licensing),
            rate_cards=self.cards,
            reratings=stores.reratings,
            retry=WITHOUT_WAITING,
        )

    def licensed(self, *facts: Fact, user: str | None = None, at: datetime = ENDED + HOUR) -> str:
        """Send an event with facts, and return its id."""
        self.events += 1
        event_id = f"{self.organization}-{self.events}"
        identity = processed_event(event_id, organization_id=self.organization)
        change = LicensingChange(self.organization, user, facts)
        event = LicensingEvent(change, identity, at)
        apply = ApplyLicensing(self.stores.licensing, WITHOUT_WAITING)
        assert apply([event]) == [Accepted(None)]
        return event_id

    def charge(self, **changed: Any) -> None:
        call = phone_call(organization_id=self.organization, **changed)
        (result,) = ChargeCalls(*self.parts)([EndedCall(call, call.ended_at)])
        assert isinstance(result, Accepted)

    def rerate(self) -> None:
        """Carry out the re-ratings that wait."""
        rerate = RerateCalls(self.recorded, self.stores.reratings)
        (result,) = rerate([ReratingRequest(self.organization)])
        assert isinstance(result, Accepted)

    def take_and_rerate(self) -> None:
        """Take the organizer's credits license, as of the call's answer."""
        self.licensed(TAKEN, user=ORGANIZER)
        self.rerate()

    def report(self, begun_at: datetime = ANSWERED, **changed: Any) -> None:
        """Have a bridge report that a call has lasted five minutes until now."""
        stores, (credit, calls, licensing, cards, retry) = self.stores, self.parts
        authorize = AuthorizeCall(
            under_way=stores.under_way,
            credit=credit,
            calls=calls,
            licensing=licensing,
            rate_cards=cards,
            retry=retry,
        )
        times = {"answered_at": begun_at, "ended_at": begun_at}
        call = phone_call(organization_id=self.organization, **times, **changed)
        to_begin = ChargingRequest(Operation.AUTHORIZE, 0)
        used = ChargingRequest(Operation.UPDATE, 1, None, 300)
        for request, at in ((to_begin, begun_at), (used, begun_at + timedelta(minutes=5))):
            new = call if request is to_begin else None
            authorize(ReceivedRequest(self.organization, call.call_id, request, at, new))

    def charge_reported(self, at: datetime = ANSWERED + 75 * HOUR) -> None:
        """Charge it by that, for no `Call Ended` has come for three days."""
        charge = ChargeReported(self.stores.credit, ChargeCalls(*self.parts))
        charge(self.organization, at)

    def explain(self, call_id: str = "call-1") -> Explanation:
        version, explanation = explain_call(self.reader, self.organization, call_id, NEVER)
        assert version == self.stores.credit.account(self.organization).version
        assert [explanation.usage] == self.stores.calls.usages(self.organization, [call_id])
        return explanation


Change = tuple[str | None, int, str | None, "Outcome | None"]


def changes(explanation: Explanation) -> list[Change]:
    """Each movement: the number of its entry, the amount, the cause, and what was before."""
    return [
        (
            movement.entry_id and movement.entry_id.lstrip("0"),
            movement.amount_micros,
            movement.cause,
            movement.before and movement.before.outcome,
        )
        for movement in explanation.movements
    ]
