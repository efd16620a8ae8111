"""Between the domain's values and the rows that hold them."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from math import gcd
from typing import TYPE_CHECKING, Any, TypeVar

from perminute.adapters.dynamodb.rows import (
    AccountRow,
    CallListRow,
    EntryRow,
    Item,
    LotRow,
    OutboxRow,
    PoolRow,
    ReratingRow,
    TimelineRow,
    UsageRow,
    item_of,
)
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.credit_settings import (
    LATE_USAGE_HOURS,
    MAX_GRANT_SECONDS,
    CreditSettings,
    FailureHandling,
)
from perminute.domain.credit.holds import Hold, Holds
from perminute.domain.credit.ledger import RERATING, EntryType, LedgerEntry, Producer, entry_id
from perminute.domain.credit.lots import FurtherLots, Lot, LotShare, twelve_months_after
from perminute.domain.credit.provisional import Provisional
from perminute.domain.credit.recharge import AutoRecharge, Disabled, RechargeRequest, RechargeState
from perminute.domain.credit.transaction import NO_CAUSES
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.licensing.timelines import Fact
from perminute.domain.limits.spending import (
    Spending,
    day_of,
)
from perminute.domain.pools.pools import Cursor, Disturbance, MinutePool, Month, Position
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Step, Unpriced
from perminute.domain.rating.usage_record import (
    Adjusted,
    Flag,
    Free,
    NotifiedAgain,
    Outcome,
    Price,
    Reason,
    Usage,
)
from perminute.domain.values.times import format_instant, parse_instant
from perminute.ports import CallList, ListedCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.credit.transaction import Causes
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.pools.pools import PoolStep
    from perminute.domain.rerating.rerating import Rerating

T = TypeVar("T")

ACCOUNT = "account"
ACCOUNTS_INDEX = "AccountsByDueDate"
WAITING = "waiting"
"""How the index lists re-ratings and unsettled pools, beside the accounts."""
NEVER_DUE = "9999"
ORGANIZATION = "organization"
ENTRY = "entry#"
FURTHER_LOT = "lot#"
EXPIRED_LOT = "expired#"
CALLS_TO_COUNT = "outbox#call#"
CHARGEBACK = "chargeback#"
POOL = "pool#"
CALLS = "calls#"
RELISTED = "#ended"
"""How the names of lists end whose calls had been listed before, as their bridges reported."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
MICROS_PER_SECOND = 1_000_000
LEAST_MICROS = 10**12
"""From it on a number is an instant in micro-seconds: in seconds that would be the year 33658."""
_WHOLE_MINUTES = [SECONDS_PER_MINUTE, SECONDS_PER_MINUTE]
_REASONS: dict[str, Reason] = {
    reason.value: reason for kind in (Free, NotEntitled, Unpriced) for reason in kind
}


def account_row(account: Account) -> AccountRow:
    """Write an account."""
    return AccountRow(
        organization_id=account.organization_id,
        record=ACCOUNT,
        version=account.version,
        licensing_version=account.licensing_version,
        user_facts=account.user_facts,
        entries=account.entries,
        balance_micros=account.balance_micros,
        debt_micros=account.debt_micros,
        currency=account.currency,
        credits_set_up_at=account.credits_set_up_at,
        settings=account.settings and _settings_record(account.settings),
        as_of=account.as_of,
        lots=[_lot_record(lot) for lot in account.lots] or None,
        further=account.further and _further_record(account.further),
        forfeited_at=account.forfeited_at,
        recharge=_recharge_record(account.recharge),
        reserved=holds_record(account.reserved),
        calls_notified=int(account.calls_notified) or None,
        days=[_day_record(day) for day in account.days] or None,
        corrections=account.corrections or None,
        prefixes_from=account.prefixes_from or None,
        provisional=account.provisional and _provisional_record(account.provisional),
        digests_due_at=account.digests_due_at,
        listed_as=ACCOUNT,
        due_at=NEVER_DUE if account.listed_from is None else due_text(account.listed_from),
    )


def account_of(row: AccountRow) -> Account:
    """Read an account; one that only licensing events have touched has no credit yet."""
    return Account(
        organization_id=row.organization_id,
        version=row.version,
        licensing_version=row.licensing_version,
        user_facts=row.user_facts,
        entries=row.entries,
        balance_micros=row.balance_micros,
        debt_micros=row.debt_micros,
        currency=row.currency,
        credits_set_up_at=row.credits_set_up_at,
        settings=_settings_of(row.settings) if row.settings else None,
        as_of=row.as_of,
        lots=tuple(_lot_of(lot) for lot in row.lots or ()),
        further=_further_of(*row.further) if row.further else None,
        forfeited_at=row.forfeited_at,
        recharge=_recharge_of(row.recharge) if row.recharge else RechargeState(),
        reserved=holds_of(row.reserved),
        calls_notified=bool(row.calls_notified),
        days=tuple(_day_of(*day) for day in row.days or ()),
        corrections=row.corrections or 0,
        prefixes_from=row.prefixes_from or 0,
        provisional=_provisional_of(*row.provisional) if row.provisional else None,
        digests_due_at=row.digests_due_at,
    )


def _provisional_record(provisional: Provisional) -> list[Any]:
    return [
        sorted(str(month) for month in provisional.months),
        format_instant(provisional.since),
        provisional.balance_micros,
        int(provisional.may_ask),
        int(provisional.notifications_held),
    ]


def _provisional_of(
    months: list[str], since: str, balance_micros: int | None, may_ask: int, notifications_held: int
) -> Provisional:
    return Provisional(
        months=frozenset(map(Month.parse, months)),
        since=parse_instant(since),
        balance_micros=balance_micros,
        may_ask=bool(may_ask),
        notifications_held=bool(notifications_held),
    )


def holds_record(holds: Holds) -> list[list[int]] | None:
    """Write holds as whole minutes since 1970: the grid that they lie on is made of them.

    A fourth figure says that it is used: for how many minutes it is held since its calls began,
    rounded up, as if they had begun before; 0 if that is not kept.
    """
    return [
        [
            (until - EPOCH) // MINUTE,
            amount,
            calls,
            *((-((began_at - until) // MINUTE) if began_at else 0,) if used else ()),
        ]
        for until, amount, calls, used, began_at in holds.by_instant
    ] or None


def holds_of(record: Sequence[Sequence[int]] | None) -> Holds:
    """Read holds; there may be none."""
    return Holds(tuple(_hold_of(*figures) for figures in record or ()))


def _hold_of(minutes: int, amount: int, calls: int, held_for: int | None = None) -> Hold:
    until = EPOCH + minutes * MINUTE
    began_at = until - held_for * MINUTE if held_for else None
    return Hold(until, amount, calls, held_for is not None, began_at)


def _day_record(day: Spending) -> list[Any]:
    return [
        day.key.since.date().isoformat(),
        day.spent_micros,
        day.notified_micros,
        holds_record(day.held),
    ]


def _day_of(
    day: str, spent_micros: int, notified_micros: int | None, held: list[list[int]] | None
) -> Spending:
    return Spending(
        key=day_of(datetime.fromisoformat(day)),
        spent_micros=spent_micros,
        notified_micros=notified_micros,
        held=holds_of(held),
    )


def due_text(due_at: datetime) -> str:
    """Write when an account is due so that text sorts as time does: whole seconds, rounded down.

    A second early at most, and only to be found: the account itself says whether it is due.
    """
    return format_instant(due_at.replace(microsecond=0))


def _lot_record(lot: Lot) -> list[Any]:
    """Writes a lot as a list, as short as possible: eight of them are in each account item.

    An expiry twelve months after the purchase is left out, as most are, and so is a warning that
    was not sent yet.
    """
    usual = lot.expires_at == twelve_months_after(lot.purchased_at)
    record: list[Any] = [
        _lot_id_record(lot.lot_id),
        lot.purchase_id,
        lot.remaining_micros,
        _instant_record(lot.purchased_at),
    ]
    if lot.warned or not usual:
        record.append(None if usual else _instant_record(lot.expires_at))
    return [*record, 1] if lot.warned else record


def _lot_of(record: Sequence[Any]) -> Lot:
    lot_id, purchase_id, remaining_micros, purchased, *more = record
    expires, warned = (*more, None)[0], len(more) > 1
    purchased_at = _instant_of(purchased)
    return Lot(
        lot_id=lot_id if isinstance(lot_id, str) else entry_id(lot_id),
        purchase_id=purchase_id,
        purchased_at=purchased_at,
        expires_at=twelve_months_after(purchased_at) if expires is None else _instant_of(expires),
        remaining_micros=remaining_micros,
        warned=warned,
    )


def _lot_id_record(lot_id: str) -> int | str:
    """Writes the id of a lot as a number if it is that of an entry."""
    is_entry = lot_id.isdecimal() and entry_id(int(lot_id)) == lot_id
    return int(lot_id) if is_entry else lot_id


def _instant_record(at: datetime) -> int:
    """Writes an instant as seconds since 1970, or as micro-seconds if it has a fraction."""
    micros = _micros(at - EPOCH)
    if at.microsecond and abs(micros) >= LEAST_MICROS:
        return micros
    return micros // MICROS_PER_SECOND


def _instant_of(record: int) -> datetime:
    """Reads an instant; see `LEAST_MICROS`."""
    return EPOCH + (record * SECOND if abs(record) < LEAST_MICROS else record * MICROSECOND)


def _further_record(further: FurtherLots) -> list[Any]:
    return [
        further.number,
        further.remaining_micros,
        _instant_record(further.due_at),
        _instant_record(further.expires_from),
    ]


def _further_of(number: int, remaining_micros: int, due: int, expires: int) -> FurtherLots:
    return FurtherLots(number, remaining_micros, _instant_of(due), _instant_of(expires))


def further_lot_row(organization_id: str, lot: Lot) -> LotRow:
    """Writes a further lot."""
    return LotRow(
        organization_id=organization_id, record=further_lot_record(lot), lot=_lot_record(lot)
    )


def further_lot_record(lot: Lot) -> str:
    """Names the record of a further lot so that text sorts as lots pay."""
    return f"{FURTHER_LOT}{sortable(lot.purchased_at)}#{lot.lot_id}"


def expired_lot_row(organization_id: str, lot: Lot) -> LotRow:
    """Writes an expired lot with what is forfeited of it."""
    return LotRow(
        organization_id=organization_id, record=expired_lot_record(lot), lot=_lot_record(lot)
    )


def expired_lot_record(lot: Lot) -> str:
    """Names the record of an expired lot so that text sorts as lots expire."""
    return f"{expired_lots_since(lot.expires_at)}#{lot.lot_id}"


def expired_lots_since(at: datetime) -> str:
    """Returns what the records of lots that expired at an instant begin with."""
    return f"{EXPIRED_LOT}{sortable(at)}"


def lot_of(row: LotRow) -> Lot:
    """Reads a lot that is an item of its own."""
    return _lot_of(row.lot)


def chargeback_record(purchase_id: str) -> str:
    """Names the record of what was taken back of a purchase."""
    return f"{CHARGEBACK}{purchase_id}"


def sortable(at: datetime) -> str:
    """Writes an instant so that text sorts as time does: with all digits of its second."""
    return at.isoformat(timespec="microseconds")


def _recharge_record(state: RechargeState) -> dict[str, Any] | None:
    """Write what was asked for; what is empty is left out, for charges write the account item."""
    record = {
        "requests": state.requests,
        "open": state.open and _request_record(state.open),
        "failures": state.failures,
        "month": state.month and [f"{state.month:%Y-%m}", state.month_micros],
        "day": state.day and [f"{state.day:%Y-%m-%d}", state.day_requests],
        "stoppedBy": state.stopped_by and state.stopped_by.value,
    }
    return {name: value for name, value in record.items() if value} or None


def _request_record(request: RechargeRequest) -> list[Any]:
    """Write a request; its last attempt as how long it came after the first."""
    return [
        request.recharge_id,
        request.amount_micros,
        _instant_record(request.requested_at),
        request.attempt,
        _micros(request.attempted_at - request.requested_at),
    ]


def _recharge_of(record: dict[str, Any]) -> RechargeState:
    month, month_micros = record.get("month", (None, 0))
    day, day_requests = record.get("day", (None, 0))
    stopped_by = record.get("stoppedBy")
    return RechargeState(
        requests=record.get("requests", 0),
        open=_request_of(*record["open"]) if "open" in record else None,
        failures=record.get("failures", 0),
        month=parse_instant(f"{month}-01T00:00:00Z") if month else None,
        month_micros=month_micros,
        day=parse_instant(f"{day}T00:00:00Z") if day else None,
        day_requests=day_requests,
        stopped_by=Disabled(stopped_by) if stopped_by else None,
    )


def _request_of(
    recharge_id: str, amount_micros: int, requested_at: int, attempt: int, later_micros: int
) -> RechargeRequest:
    first_at = _instant_of(requested_at)
    return RechargeRequest(
        recharge_id=recharge_id,
        amount_micros=amount_micros,
        requested_at=first_at,
        attempted_at=first_at + timedelta(microseconds=later_micros),
        attempt=attempt,
    )


def _settings_record(settings: CreditSettings) -> dict[str, Any]:
    """Writes settings; what is not set is left out, for charges write the account item."""
    recharge = settings.auto_recharge
    record = {
        "configuredAt": _instant_record(settings.configured_at),
        "eventId": settings.event_id,
        "isChangeId": int(settings.has_change_id) or None,
        "currency": settings.currency,
        "thresholds": settings.low_balance_thresholds_micros or None,
        "autoRecharge": recharge
        and [recharge.trigger_micros, recharge.recharge_micros, recharge.monthly_limit_micros],
        "dailyMicros": settings.daily_spend_limit_micros,
        "prefixHourlyMicros": settings.prefix_hourly_spend_limit_micros,
        "maxCalls": settings.max_concurrent_calls,
        "maxGrantSeconds": _unless(MAX_GRANT_SECONDS, settings.max_grant_seconds),
        "failureHandling": _unless(FailureHandling.CLOSED.value, settings.failure_handling.value),
        "lateUsageHours": _unless(LATE_USAGE_HOURS, settings.late_usage_hours),
    }
    return {name: value for name, value in record.items() if value is not None}


def _unless(default: T, value: T) -> T | None:
    """Leave out what is as it is by default."""
    return None if value == default else value


def _settings_of(record: dict[str, Any]) -> CreditSettings:
    recharge = record.get("autoRecharge")
    return CreditSettings(
        configured_at=_instant_of(record["configuredAt"]),
        event_id=record["eventId"],
        has_change_id=bool(record.get("isChangeId")),
        currency=record["currency"],
        low_balance_thresholds_micros=tuple(record.get("thresholds", ())),
        auto_recharge=recharge and _auto_recharge_of(*recharge),
        daily_spend_limit_micros=record.get("dailyMicros"),
        prefix_hourly_spend_limit_micros=record.get("prefixHourlyMicros"),
        max_concurrent_calls=record.get("maxCalls"),
        max_grant_seconds=record.get("maxGrantSeconds", MAX_GRANT_SECONDS),
        failure_handling=FailureHandling(record.get("failureHandling", FailureHandling.CLOSED)),
        late_usage_hours=record.get("lateUsageHours", LATE_USAGE_HOURS),
    )


def _auto_recharge_of(trigger: int, recharge: int, monthly_limit: int | None) -> AutoRecharge:
    return AutoRecharge(
        trigger_micros=trigger, recharge_micros=recharge, monthly_limit_micros=monthly_limit
    )


def entry_row(entry: LedgerEntry) -> EntryRow:
    """Write a ledger entry."""
    return EntryRow(
        organization_id=entry.organization_id,
        record=entry_record(entry.entry_id),
        entry_id=entry.entry_id,
        type=entry.type.value,
        amount_micros=entry.amount_micros,
        balance_after_micros=entry.balance_after_micros,
        at=entry.at,
        lots=_shares_record(entry.lots),
        cause=entry.cause,
        opens=entry.opens and _lot_record(entry.opens),
        calls=list(entry.call_ids) or None,
        producer=entry.producer and list(entry.producer),
    )


def entry_record(entry_id: str) -> str:
    """Name the record of an entry."""
    return f"{ENTRY}{entry_id}"


def entry_in_item(item: Item) -> LedgerEntry | None:
    """Read the ledger entry that an item of the credit table is or holds, if it does."""
    record = item["record"]["S"]
    if record.startswith(ENTRY):
        return entry_of(EntryRow.from_raw_data(item))
    if not record.startswith(CALLS) or "entry" not in item:
        return None
    entry_id, amount, balance_after, at, lots = json.loads(item["entry"]["S"])
    return LedgerEntry(
        organization_id=item["organizationId"]["S"],
        entry_id=entry_id,
        type=EntryType.CHARGE,
        amount_micros=amount,
        balance_after_micros=balance_after,
        at=parse_instant(at),
        lots=_shares_of(lots),
    )


def _charge_record(entry: LedgerEntry) -> list[Any]:
    return [
        entry.entry_id,
        entry.amount_micros,
        entry.balance_after_micros,
        format_instant(entry.at),
        _shares_record(entry.lots) or [],
    ]


def entry_of(row: EntryRow) -> LedgerEntry:
    """Read a ledger entry."""
    return LedgerEntry(
        organization_id=row.organization_id,
        entry_id=row.entry_id,
        type=EntryType(row.type),
        amount_micros=row.amount_micros,
        balance_after_micros=row.balance_after_micros,
        at=row.at,
        lots=_shares_of(row.lots or ()),
        cause=row.cause,
        opens=_lot_of(row.opens) if row.opens else None,
        call_ids=tuple(row.calls or ()),
        producer=Producer(*row.producer) if row.producer else None,
    )


def _shares_record(shares: tuple[LotShare, ...]) -> list[list[str | int]] | None:
    """Writes shares; that a lot paid late is said only where it did."""
    return [[*share[:3], 1] if share.late else list(share[:3]) for share in shares] or None


def _shares_of(record: Sequence[Sequence[Any]]) -> tuple[LotShare, ...]:
    return tuple(
        LotShare(lot_id, purchase_id, micros, bool(late))
        for lot_id, purchase_id, micros, *late in record
    )


def outbox_row(
    notifications: Sequence[Notification], version: int, causes: Causes = NO_CAUSES
) -> OutboxRow:
    """Write notifications of one transaction, as many as fit a record: see `Transaction.outbox`.

    Under the account's version that it makes, and the id of the first: a transaction that makes
    none tells only of new calls, each once for ever.
    """
    # Imported where it is needed: few of the calls that are authorized have anything to tell.
    from perminute.adapters.notification_documents import facts_of  # noqa: PLC0415

    return OutboxRow(
        organization_id=notifications[0].organization_id,
        record=_outbox_record(notifications[0], version),
        notifications=[facts_of(one, causes.of(one.call_id)) for one in notifications],
        # By these a call is found whose charge was one of many that led to a notification.
        correlation_ids=list(causes.event_ids) if len(causes.event_ids) > 1 else None,
    )


def _outbox_record(first: Notification, version: int) -> str:
    """Name a record of the outbox; those of calls that a digest may count are sorted by day."""
    if first.counted_on is None:
        return f"outbox#{version:012d}#{first.id}"
    return f"{CALLS_TO_COUNT}{first.counted_on}#{version:012d}#{first.id}"


def usage_item(usage: Usage) -> Item:
    """Write a usage; what is empty is left out of its record."""
    call, price = usage.call, usage.price
    record = {
        "meetingId": call.meeting_id,
        "meetingType": call.meeting_type.value,
        "legType": call.leg_type.value,
        "serviceNumber": call.service_number,
        "remoteNumber": call.remote_number,
        "endedAt": format_instant(call.ended_at),
        "billableSeconds": call.billable_seconds,
        "exactSeconds": call.exact_seconds,
        "reason": usage.reason and usage.reason.value,
        "flags": [flag.value for flag in usage.flags] or None,
        "lots": _shares_record(usage.lots),
        "drawsOnPool": usage.draws_on_pool or None,
        "reservedMinutes": usage.reserved_minutes or None,
        "newsHeld": usage.notifications_held or None,
        "notifiedAgain": [list(one) for one in usage.notified_again] or None,
        "authorizedAt": usage.authorized_at and format_instant(usage.authorized_at),
        "rateCardVersion": price.rate_card_version,
        "billedSeconds": price.billed_seconds,
        "prefix": price.prefix,
        "country": price.country,
        "rateMicrosPerMinute": price.rate_micros_per_minute,
        "connectionFeeMicros": price.connection_fee_micros,
        "retailMicros": price.retail_micros,
        "currency": price.currency,
        "unpriced": price.unpriced and price.unpriced.value,
        "increments": _increments_record(price),
        "laterSteps": [list(step) for step in price.later_steps] or None,
    }
    return item_of(
        UsageRow,
        {
            "organization_id": call.organization_id,
            "call_id": call.call_id,
            "organizer_id": call.organizer_id,
            "answered_at": call.answered_at,
            "outcome": usage.outcome.value,
            "charge_micros": usage.charge_micros,
            "entry_id": usage.entry_id,
            "adjustments": [list(one) for one in usage.adjustments] or None,
            "pool_minutes": usage.pool_minutes or None,
            "record": {name: value for name, value in record.items() if value is not None},
        },
    )


def _increments_record(price: Price) -> list[int] | None:
    """Writes the first block and the further ones; those of nearly every rate are left out."""
    increments = [price.initial_increment_seconds, price.increment_seconds]
    return None if increments == _WHOLE_MINUTES else increments


def movements_of(item: Item) -> Iterator[tuple[str | None, int]]:
    """Read of a usage only by which entries its charge came about; see `Usage.movements`."""
    first_micros = int(item["chargeMicros"]["N"])
    for entry, micros in json.loads(item["adjustments"]["S"]) if "adjustments" in item else ():
        yield entry, micros
        first_micros -= micros
    yield item["entryId"]["S"] if "entryId" in item else None, first_micros


def usage_of(row: UsageRow) -> Usage:
    """Read a usage."""
    record: dict[str, Any] = row.record
    reason, authorized_at = record.get("reason"), record.get("authorizedAt")
    return Usage(
        call=_call_of(row, record),
        outcome=Outcome(row.outcome),
        reason=_REASONS[reason] if reason else None,
        price=_price_of(record),
        charge_micros=row.charge_micros,
        pool_minutes=row.pool_minutes or 0,
        draws_on_pool=record.get("drawsOnPool", False),
        reserved_minutes=record.get("reservedMinutes", 0),
        notifications_held=record.get("newsHeld", False),
        notified_again=tuple(NotifiedAgain(*one) for one in record.get("notifiedAgain", ())),
        authorized_at=parse_instant(authorized_at) if authorized_at else None,
        flags=tuple(Flag(flag) for flag in record.get("flags", ())),
        entry_id=row.entry_id,
        adjustments=tuple(Adjusted(*one) for one in row.adjustments or ()),
        lots=_shares_of(record.get("lots", ())),
    )


def pool_row(pool: MinutePool, step: PoolStep | None = None) -> PoolRow:
    """Write a minute pool, and which step of settling that asks for, if any."""
    return PoolRow(
        organization_id=pool.organization_id,
        record=pool_record(pool.month),
        used=_by_day_record(pool.used_by_day),
        reserved=_by_day_record(pool.reserved_by_day) or None,
        held=holds_record(pool.held),
        bound=pool.bound and _position_record(pool.bound),
        unsettled=pool.unsettled
        and [*_position_record(pool.unsettled.position), *pool.unsettled[1:]],
        drawn_from=pool.drawn_from and _position_record(pool.drawn_from),
        step=step and step.value,
        disturbed=pool.disturbed and _disturbed_record(pool.disturbed),
        steps=pool.steps,
        told=pool.told,
        listed_as=WAITING if pool.unsettled else None,
        due_at=due_text(pool.month.start) if pool.unsettled else None,
    )


def pool_record(month: Month) -> str:
    """Name the record of a month's pool."""
    return f"{POOL}{month}"


def pool_of(row: PoolRow) -> MinutePool:
    """Read a minute pool."""
    unsettled = None
    if row.unsettled is not None:
        ended_at, call_id, *minutes = row.unsettled
        unsettled = Cursor(_position_of((ended_at, call_id)), *minutes)
    return MinutePool(
        organization_id=row.organization_id,
        month=Month.parse(row.record.removeprefix(POOL)),
        used_by_day=_by_day_of(row.used),
        reserved_by_day=_by_day_of(row.reserved or {}),
        held=holds_of(row.held),
        bound=None if row.bound is None else _position_of(row.bound),
        unsettled=unsettled,
        drawn_from=None if row.drawn_from is None else _position_of(row.drawn_from),
        disturbed=None if row.disturbed is None else _disturbed_of(*row.disturbed),
        steps=row.steps,
        told=row.told,
    )


def _disturbed_record(disturbed: Disturbance) -> list[Any]:
    until, more, last = disturbed
    return [_position_record(until), more, last and _position_record(last)]


def _disturbed_of(until: list[str], more: int, last: list[str] | None) -> Disturbance:
    return Disturbance(_position_of(until), more, None if last is None else _position_of(last))


def _by_day_record(by_day: Mapping[date, int]) -> dict[str, int]:
    return {day.isoformat(): minutes for day, minutes in sorted(by_day.items())}


def _by_day_of(record: Mapping[str, int]) -> dict[date, int]:
    return {date.fromisoformat(day): minutes for day, minutes in record.items()}


def _position_record(position: Position) -> list[str]:
    return [format_instant(position.ended_at), position.call_id]


def _position_of(record: Sequence[str]) -> Position:
    ended_at, call_id = record
    return Position(parse_instant(ended_at), call_id)


def call_list_rows(
    usages: Sequence[Usage], charge: LedgerEntry | None = None, *, suffix: str = ""
) -> Iterator[CallListRow]:
    """List the calls of a transaction by the day on which they ended; see `Calls.lists`.

    The first list carries the entry of what they were charged.
    """
    by_day: defaultdict[date, list[Call]] = defaultdict(list)
    for usage in usages:
        if usage.outcome is not Outcome.FREE:
            by_day[usage.call.ended_at.date()].append(usage.call)
    for calls in by_day.values():
        last = max(call.ended_at for call in calls)
        # A call is listed once under each suffix, so no other list can have this name.
        name = hashlib.sha256(calls[0].call_id.encode()).hexdigest()[:32]
        yield CallListRow(
            organization_id=calls[0].organization_id,
            record=f"{call_list_record(last)}#{name}{suffix}",
            calls=zlib.compress(_listed(calls)),
            dial_outs=sum(1 for call in calls if call.leg_type is LegType.DIAL_OUT) or None,
            entry=charge and _charge_record(charge),
        )
        charge = None


def call_list_record(ended_at: datetime) -> str:
    """Name a list of calls by its last so that text sorts as time does."""
    return f"{CALLS}{sortable(ended_at)}"


def _listed(calls: Sequence[Call]) -> bytes:
    """Write calls as short as may be: every transaction pays for its list by the kilobyte.

    Column by column, since like beside like is what compression shortens best; and times in the
    largest unit that leaves none of them a fraction, mostly seconds.
    """
    organizers = list(dict.fromkeys(call.organizer_id for call in calls))
    numbers = {organizer_id: number for number, organizer_id in enumerate(organizers)}
    first = min(call.ended_at for call in calls)
    ended = [_micros(call.ended_at - first) for call in calls]
    lasted = [_micros(call.ended_at - (call.rated_at)) for call in calls]
    unit = max(gcd(*ended, *lasted), 1)
    columns = [
        organizers,
        _micros(first - EPOCH),
        unit,
        [call.call_id for call in calls],
        [numbers[call.organizer_id] for call in calls],
        [int(call.leg_type is LegType.DIAL_OUT) for call in calls],
        [micros // unit for micros in ended],
        [micros // unit for micros in lasted],
    ]
    return json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()


def call_list_of(row: CallListRow) -> CallList:
    """Read a list of calls."""
    organizers, first, unit, *columns = json.loads(zlib.decompress(row.calls))
    return CallList(
        row.record,
        tuple(
            ListedCall(
                call_id=call_id,
                organizer_id=organizers[organizer],
                dial_out=bool(dial_out),
                answered_at=EPOCH + timedelta(microseconds=first + unit * (ended - lasted)),
                ended_at=EPOCH + timedelta(microseconds=first + unit * ended),
            )
            for call_id, organizer, dial_out, ended, lasted in zip(*columns, strict=True)
        ),
    )


def _micros(duration: timedelta) -> int:
    return duration // MICROSECOND


def rerating_row(rerating: Rerating) -> ReratingRow:
    """Write what is to be looked at again."""
    return ReratingRow(
        organization_id=rerating.organization_id,
        record=rerating_record(rerating.rerating_id),
        at=rerating.at,
        since=[[subject, format_instant(since)] for subject, since in rerating.since.items()],
        pools_since=rerating.pools_since,
        seats_since=rerating.seats_since,
        after=rerating.after,
        steps=rerating.steps,
        others=rerating.others,
        producer=rerating.producer and list(rerating.producer),
        listed_as=WAITING,
        due_at=due_text(rerating.at),
    )


def rerating_record(rerating_id: str) -> str:
    """Name the record of a re-rating."""
    return f"{RERATING}{rerating_id}"


def _call_of(row: UsageRow, record: dict[str, Any]) -> Call:
    return Call(
        organization_id=row.organization_id,
        call_id=row.call_id,
        organizer_id=row.organizer_id,
        meeting_id=record["meetingId"],
        meeting_type=MeetingType(record["meetingType"]),
        leg_type=LegType(record["legType"]),
        service_number=record.get("serviceNumber"),
        remote_number=record.get("remoteNumber"),
        answered_at=row.answered_at,
        ended_at=parse_instant(record["endedAt"]),
        billable_seconds=record.get("billableSeconds"),
        exact_seconds=record.get("exactSeconds"),
    )


def _price_of(record: dict[str, Any]) -> Price:
    unpriced = record.get("unpriced")
    initial_increment, increment = record.get("increments", _WHOLE_MINUTES)
    return Price(
        rate_card_version=record["rateCardVersion"],
        billed_seconds=record["billedSeconds"],
        prefix=record.get("prefix"),
        country=record.get("country"),
        rate_micros_per_minute=record.get("rateMicrosPerMinute"),
        connection_fee_micros=record.get("connectionFeeMicros"),
        retail_micros=record.get("retailMicros"),
        currency=record.get("currency"),
        unpriced=Unpriced(unpriced) if unpriced else None,
        initial_increment_seconds=initial_increment,
        increment_seconds=increment,
        later_steps=tuple(Step(*step) for step in record.get("laterSteps", ())),
        # Stored once, as the flag.
        is_prefix_uncertain=Flag.PREFIX_UNCERTAIN in record.get("flags", ()),
    )


USERS = "user#"
FURTHER = "further#"
"""How the names of further items of timelines begin."""


def subject_of(user_id: str | None) -> str:
    """Name the timeline of a user, or of the organization itself."""
    return ORGANIZATION if user_id is None else f"{USERS}{user_id}"


def further_subject(subject: str, number: int) -> str:
    """Name a further item of a timeline; no user's id can make a first item of that name.

    With the longest id it has 1,024 bytes, the longest sort key: a number has ten digits at most.
    """
    return f"{FURTHER}{subject}#{number}"


def fact_text(fact: Fact) -> str:
    """Write a fact as one JSON line; most have no `changeId`, and say nothing of it."""
    return json.dumps(
        [
            fact.attribute,
            fact.value,
            format_instant(fact.effective_at),
            format_instant(fact.issued_at),
            fact.event_id,
            *((1,) if fact.has_change_id else ()),
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def folded_text(until: datetime) -> str:
    """Write from when a fact holds, or until when facts are folded: text sorts as time does."""
    return sortable(until)


def folded_until(text: str) -> datetime:
    """Read until when facts are folded."""
    return parse_instant(text)


def subject_of_further(name: str) -> str:
    """Return whose facts a further item holds, or the name itself if it is a first item's."""
    return name.removeprefix(FURTHER).rpartition("#")[0] if name.startswith(FURTHER) else name


def facts_of(row: TimelineRow) -> frozenset[Fact]:
    """Read the facts of an item."""
    return frozenset(map(_fact_of, row.facts))


def _fact_of(text: str) -> Fact:
    attribute, value, effective_at, issued_at, event_id, *is_change_id = json.loads(text)
    return Fact(
        attribute=attribute,
        value=value,
        effective_at=parse_instant(effective_at),
        issued_at=parse_instant(issued_at),
        event_id=event_id,
        has_change_id=bool(is_change_id),
    )
