"""Book what happens to the prepaid credit itself: purchases, adjustments, settings, failures."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from perminute.application.correlation import caused_by
from perminute.application.find_ties import ReportTies, tie_of_settings, unreported
from perminute.application.further_lots import further_lots
from perminute.application.results import (
    Accepted,
    Duplicate,
    Result,
    against_processed_event,
    names_in_log,
    rerating_id,
)
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.application.transact import transact
from perminute.domain.credit.booking import (
    Adjustment,
    Purchase,
    adjust,
    charge_back,
    configure,
    fail_recharge,
    purchase,
)
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType, Producer, sent_by
from perminute.domain.credit.transaction import (
    AlreadyExists,
    EventIdentity,
    IdentityKind,
    ProcessedEvent,
    Transaction,
)
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.rerating.rerating import EVERYBODY, Rerating

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.ports.stores import CreditStore


class FailedRecharge(NamedTuple):
    """A recharge that we asked for could not be bought, for this reason."""

    recharge_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditEvent:
    """One event about an organization's credit."""

    organization_id: str
    change: Purchase | Adjustment | CreditSettings | FailedRecharge
    processed_event: ProcessedEvent
    # The event's own time, at which it is booked, but never after `heard_at`: a clock may be ahead.
    issued_at: datetime
    decided_at: datetime | None = None  # its `issuedAt`, which may be days earlier
    heard_at: datetime | None = None  # when it reached our queue
    producer: Producer | None = None  # known of all events that came over a bus
    event_id: str = field(default="", compare=False)

    @property
    def answered(self) -> str | None:
        """The recharge of which it is the outcome."""
        match self.change:
            case Purchase(recharge_id=answered) | FailedRecharge(recharge_id=answered):
                return answered
            case _:
                return None

    @property
    def names(self) -> dict[str, str]:
        """The ids by which it is found in the log."""
        return names_in_log(self.event_id, self.processed_event)


@dataclass(frozen=True, slots=True)
class BookCredit:
    """The use case with what it needs from outside."""

    credit: CreditStore
    retry: RetryPolicy
    report_ties: ReportTies = unreported

    def __call__(
        self, events: Sequence[CreditEvent], deadline: Deadline = NEVER
    ) -> list[Result[Account]]:
        """Book each event in its own transaction, in the order of the times of booking."""
        # Within a batch the order of delivery is chance, and which purchase pays a debt, or whether
        # a threshold is passed, should not be. Of two that are booked at one instant the one that
        # was decided first comes first, and of settings those that stay in force: what the others
        # would have bought is not requested.
        in_force_first = sorted(range(len(events)), key=lambda n: _order(events[n]), reverse=True)
        by_time = sorted(in_force_first, key=lambda n: _time_of_booking(events[n]))
        results = {n: self._book(events[n], deadline) for n in by_time}
        return [results[n] for n in range(len(events))]

    def _book(self, event: CreditEvent, deadline: Deadline) -> Result[Account]:
        try:
            with caused_by(event.event_id):
                transaction = transact(
                    self.credit,
                    event.organization_id,
                    partial(self._decide, event),
                    self.retry,
                    deadline,
                    at=event.issued_at,
                    heard_at=event.heard_at,
                    answered=event.answered,
                )
        except AlreadyExists as error:
            return _against(event, error.processed_events)
        except (Refused, Unavailable) as error:
            return error
        if isinstance(event.change, CreditSettings):
            known = transaction.before.settings
            ties = tie_of_settings(event.organization_id, known, event.change)
            self.report_ties(event.organization_id, ties)
        return Accepted(transaction.after)

    def _decide(self, event: CreditEvent, account: Account) -> Transaction:
        try:
            transaction = self._book_on(account, event)
        except Refused as refused:
            # A chargeback that was booked before leaves no more to take back: it is no refusal.
            self._check_not_recorded(event, refused)
            raise
        return transaction._replace(
            entries=sent_by(event.producer, _cause(event), transaction.entries),
            processed_events=_processed_events(event, transaction),
            reratings=_reratings(account, transaction.after, event),
        )

    def _book_on(self, account: Account, event: CreditEvent) -> Transaction:
        at, heard_at, cause = event.issued_at, event.heard_at, _cause(event)
        match event.change:
            case Purchase() as bought:
                return purchase(
                    account,
                    bought,
                    at=at,
                    cause=cause,
                    heard_at=heard_at,
                    after_failure=self._has_failed(account, event, bought.recharge_id),
                )
            case Adjustment(purchase_id=str()) as adjustment:
                return self._charge_back(account, adjustment, event)
            case Adjustment() as adjustment:
                return adjust(account, adjustment, at=at, cause=cause, heard_at=heard_at)
            case CreditSettings() as settings:
                return configure(account, settings, at=at, heard_at=heard_at)
            case FailedRecharge(recharge_id=recharge_id, reason=reason):
                if not account.recharge.waits_for(recharge_id):
                    self._check_not_paid(event.processed_event, recharge_id)
                return fail_recharge(account, recharge_id, reason, at=at, heard_at=heard_at)
            case never:
                assert_never(never)

    def _has_failed(self, account: Account, event: CreditEvent, recharge_id: str | None) -> bool:
        if recharge_id is None or account.recharge.waits_for(recharge_id):
            return False
        key = EventIdentity(IdentityKind.RECHARGE_FAILURE, event.organization_id, recharge_id)
        return self.credit.processed_event(key) is not None

    def _check_not_paid(self, processed_event: ProcessedEvent, recharge_id: str) -> None:
        organization_id = processed_event.key.organization_id
        key = EventIdentity(IdentityKind.RECHARGE, organization_id, recharge_id)
        paid = self.credit.processed_event(key)
        if paid is not None and self.credit.processed_event(processed_event.key) is None:
            raise Refused(
                "rechargeId",
                f"conflict: recharge {recharge_id} was paid by purchase "
                f"{_purchase_of(paid)}, so it has not failed",
            )

    def _check_not_recorded(self, event: CreditEvent, refused: Refused) -> None:
        # Events that are identified by their event ids are not read: only the commit finds them.
        key = event.processed_event.key
        recorded = None if key.kind is IdentityKind.EVENT else self.credit.processed_event(key)
        if recorded is not None:
            raise AlreadyExists(processed_events={key: recorded}) from refused

    def _charge_back(
        self, account: Account, adjustment: Adjustment, event: CreditEvent
    ) -> Transaction:
        # All lots are read, since any of them may be the purchase's.
        purchase_id = str(adjustment.purchase_id)
        bought = self.credit.bought(event.organization_id, purchase_id)
        if bought is None:
            raise Refused(
                "purchaseId",
                f"{purchase_id} is not a purchase of {event.organization_id}; if its Credit "
                "Purchased is still on its way, send this again after it",
            )
        return charge_back(
            account,
            adjustment,
            bought,
            at=event.issued_at,
            cause=_cause(event),
            heard_at=event.heard_at,
            further=further_lots(self.credit, account),
        )


def _order(event: CreditEvent) -> tuple[Any, ...]:
    return event.change.order if isinstance(event.change, CreditSettings) else ()


def _time_of_booking(event: CreditEvent) -> tuple[datetime, datetime, bool, str]:
    # At one time settings come last, in the order in which they are given; others by identity.
    is_settings = isinstance(event.change, CreditSettings)
    identity = "" if is_settings else event.processed_event.key.id
    return event.issued_at, event.decided_at or event.issued_at, is_settings, identity


def _cause(event: CreditEvent) -> str:
    return f"{event.processed_event.key.kind}#{event.processed_event.key.id}"


def _reratings(before: Account, after: Account, event: CreditEvent) -> tuple[Rerating, ...]:
    # If the credits turn out to have been set up before they were.
    set_up_at = after.credits_set_up_at
    if set_up_at is None or set_up_at == before.credits_set_up_at:
        return ()
    rerating = Rerating(
        organization_id=event.organization_id,
        rerating_id=rerating_id(event.processed_event),
        at=event.heard_at or event.issued_at,
        since={EVERYBODY: set_up_at},
        producer=event.producer,
    )
    return (rerating,)


def _processed_events(event: CreditEvent, booking: Transaction) -> tuple[ProcessedEvent, ...]:
    # Of a recharge it is recorded that it was paid, so that nothing pays it twice.
    match event.change:
        case Purchase(recharge_id=str(recharge_id)):
            entry = _entry_of(event, booking)
            key = EventIdentity(IdentityKind.RECHARGE, event.organization_id, recharge_id)
            paid = ProcessedEvent(
                key, json.dumps({"purchaseId": event.processed_event.key.id}), entry
            )
            return event.processed_event._replace(entry_id=entry), paid
        case Purchase() | Adjustment():
            return (event.processed_event._replace(entry_id=_entry_of(event, booking)),)
        case CreditSettings() | FailedRecharge():
            return (event.processed_event,)
        case never:
            assert_never(never)


def _entry_of(event: CreditEvent, booking: Transaction) -> str:
    # An expiry may be entered beside it.
    return next(
        entry.entry_id
        for entry in booking.entries
        if entry.cause == _cause(event) and entry.type is not EntryType.EXPIRY
    )


def _against(
    event: CreditEvent, known: Mapping[EventIdentity, ProcessedEvent]
) -> Duplicate | Refused:
    recorded = known.get(event.processed_event.key)
    if recorded is not None:
        return against_processed_event(event.processed_event, recorded)
    ((key, paid),) = known.items()
    return Refused(
        "rechargeId",
        f"conflict: recharge {key.id} was paid by purchase {_purchase_of(paid)}; if credit was "
        "bought twice, send the second purchase without a rechargeId",
    )


def _purchase_of(paid: ProcessedEvent) -> str:
    purchase_id: str = json.loads(paid.content)["purchaseId"]
    return purchase_id
