"""Items of the credit table about an account: itself, its lots, its ledger, and its events.

Stored names are short: charges write the account item, and pay for it by the kilobyte.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.json import decode

from perminute.adapters.dynamodb.codec import (
    DAY,
    FLAG,
    FLAG_NUMBER,
    INSTANT,
    NUMBER,
    PLAIN,
    PLAIN_LIST,
    SHORT_INSTANT,
    SORTABLE_INSTANT,
    TEXT,
    Field,
    Format,
    Item,
    Record,
    as_json,
    attribute,
    enum_of,
    list_of,
    prefixed,
    row,
    sortable,
    whole_seconds,
)
from perminute.domain.credit.accounts import Account, ForecastState, Provisional
from perminute.domain.credit.credit_settings import CreditSettings, FailureHandling
from perminute.domain.credit.holds import Hold, Holds
from perminute.domain.credit.ledger import EntryType, LedgerEntry, Producer, entry_id
from perminute.domain.credit.lots import FurtherLots, Lot, LotShare, twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge, Disabled, RechargeRequest, RechargeState
from perminute.domain.credit.transaction import IdentityKind, ProcessedEvent
from perminute.domain.limits.spending import SpendCounter, day_of
from perminute.domain.pools.pools import Month
from perminute.domain.values.times import EPOCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.domain.credit.booking import Chargeback
    from perminute.domain.credit.transaction import EventIdentity

ACCOUNT = "account"
ACCOUNTS_INDEX = "AccountsByDueDate"
NEVER_DUE = "9999"
FURTHER_LOT = "lot#"
EXPIRED_LOT = "expired#"
MINUTE = timedelta(minutes=1)


def credit_key(organization_id: str, record: str) -> Item:
    return {"organizationId": {"S": organization_id}, "record": {"S": record}}


# ── Reservations ─────────────────────────────────────────────────────────────────────────────


def minutes_since_1970(at: datetime) -> int:
    """Write an instant in whole minutes: reservations lapse at such instants only (`holds`)."""
    return (at - EPOCH) // MINUTE


def _written_hold(hold: Hold) -> list[int]:
    until, amount, calls, used, began_at = hold
    figures = [minutes_since_1970(until), amount, calls]
    if used:
        # Minutes from the start of its calls to `until`, rounded up; 0 if no start is known.
        figures.append(-((began_at - until) // MINUTE) if began_at else 0)
    return figures


def _read_hold(figures: Sequence[int]) -> Hold:
    minutes, amount, calls, *used_for = figures
    until = EPOCH + minutes * MINUTE
    began_at = until - used_for[0] * MINUTE if any(used_for) else None
    return Hold(until, amount, calls, bool(used_for), began_at)


GRID_INSTANT = Format(minutes_since_1970, lambda minutes: EPOCH + minutes * MINUTE)
HOLDS = Format(
    lambda holds: [_written_hold(hold) for hold in holds.by_instant],
    lambda stored: Holds(tuple(map(_read_hold, stored))),
)

# ── Lots ─────────────────────────────────────────────────────────────────────────────────────


def _written_lot(lot: Lot) -> list[Any]:
    """Leave out an expiry twelve months after the purchase, as most are, and a warning to come."""
    is_usual = lot.expires_at == twelve_months_after(lot.purchased_at)
    is_entry = lot.lot_id.isdecimal() and entry_id(int(lot.lot_id)) == lot.lot_id
    stored = [
        int(lot.lot_id) if is_entry else lot.lot_id,
        lot.purchase_id,
        lot.remaining_micros,
        SHORT_INSTANT.write(lot.purchased_at),
    ]
    if lot.warned or not is_usual:
        stored.append(None if is_usual else SHORT_INSTANT.write(lot.expires_at))
    return [*stored, 1] if lot.warned else stored


def _read_lot(stored: Sequence[Any]) -> Lot:
    lot_id, purchase_id, remaining_micros, purchased, *more = stored
    expires, warned = (*more, None)[0], len(more) > 1
    purchased_at = SHORT_INSTANT.read(purchased)
    is_usual = expires is None
    return Lot(
        lot_id=lot_id if isinstance(lot_id, str) else entry_id(lot_id),
        purchase_id=purchase_id,
        purchased_at=purchased_at,
        expires_at=twelve_months_after(purchased_at) if is_usual else SHORT_INSTANT.read(expires),
        remaining_micros=remaining_micros,
        warned=warned,
    )


LOT = Format(_written_lot, _read_lot)
_LOT = as_json(LOT)


def expired_lot_record(lot: Lot) -> str:
    """Name the item of an expired lot so that text sorts as lots expire."""
    return f"{EXPIRED_LOT}{sortable(lot.expires_at)}#{lot.lot_id}"


def further_lot_item(organization_id: str, lot: Lot) -> Item:
    """Write a further lot, named so that text sorts as lots pay."""
    record = f"{FURTHER_LOT}{sortable(lot.purchased_at)}#{lot.lot_id}"
    return {**credit_key(organization_id, record), "lot": _LOT.write(lot)}


def expired_lot_item(organization_id: str, lot: Lot) -> Item:
    """Write an expired lot with what is forfeited of it."""
    return {**credit_key(organization_id, expired_lot_record(lot)), "lot": _LOT.write(lot)}


def lot_of(item: Item) -> Lot:
    lot: Lot = _LOT.read(item["lot"])
    return lot


# ── Accounts ─────────────────────────────────────────────────────────────────────────────────

_SETTINGS = Record(
    CreditSettings,
    configured_at=SHORT_INSTANT,
    event_id=PLAIN,
    has_change_id=Field(FLAG, "isChangeId"),
    currency=PLAIN,
    low_balance_thresholds_micros=Field(PLAIN_LIST, "thresholds"),
    auto_recharge=row(
        AutoRecharge, trigger_micros=PLAIN, recharge_micros=PLAIN, monthly_limit_micros=PLAIN
    ),
    daily_spend_limit_micros=Field(PLAIN, "dailyMicros"),
    prefix_hourly_spend_limit_micros=Field(PLAIN, "prefixHourlyMicros"),
    max_concurrent_calls=Field(PLAIN, "maxCalls"),
    max_grant_seconds=PLAIN,
    failure_handling=enum_of(FailureHandling),
    late_usage_hours=PLAIN,
    monthly_budget_micros=Field(PLAIN, "budgetMicros"),
)
_FURTHER = row(
    FurtherLots,
    number=PLAIN,
    remaining_micros=PLAIN,
    due_at=SHORT_INSTANT,
    expires_from=SHORT_INSTANT,
)
_REQUEST = row(
    RechargeRequest,
    recharge_id=PLAIN,
    amount_micros=PLAIN,
    requested_at=SHORT_INSTANT,
    attempted_at=SHORT_INSTANT,
    attempt=PLAIN,
)
_RECHARGE = row(
    RechargeState,
    requests=PLAIN,
    failures=PLAIN,
    open=_REQUEST,
    month=SHORT_INSTANT,
    month_micros=PLAIN,
    day=SHORT_INSTANT,
    day_requests=PLAIN,
    stopped_by=enum_of(Disabled),
)
_DAY = row(
    SpendCounter,
    key=Format(
        lambda day: day.since.date().isoformat(), lambda text: day_of(datetime.fromisoformat(text))
    ),
    spent_micros=PLAIN,
    notified_micros=PLAIN,
    held=HOLDS,
)
MONTH = Format(str, Month.parse)
_PROVISIONAL = row(
    Provisional,
    months=Format(
        lambda months: sorted(map(str, months)), lambda stored: frozenset(map(Month.parse, stored))
    ),
    since=SHORT_INSTANT,
    balance_micros=PLAIN,
    may_ask=FLAG,
    notifications_held=FLAG,
)
_FORECAST = row(ForecastState, since=DAY, runs_out=FLAG, over_budget=MONTH)
_ACCOUNT = Record(
    Account,
    organization_id=TEXT,
    version=NUMBER,
    licensing_version=NUMBER,
    user_facts=NUMBER,
    entries=NUMBER,
    balance_micros=NUMBER,
    debt_micros=NUMBER,
    currency=TEXT,
    credits_set_up_at=INSTANT,
    settings=as_json(_SETTINGS.format),
    as_of=INSTANT,
    lots=as_json(list_of(LOT)),
    further=as_json(_FURTHER),
    forfeited_at=INSTANT,
    recharge=as_json(_RECHARGE),
    reserved=as_json(HOLDS),
    call_limit_notified=FLAG_NUMBER,
    days=as_json(list_of(_DAY)),
    corrections=NUMBER,
    prefixes_from=NUMBER,
    provisional=as_json(_PROVISIONAL),
    digests_due_at=INSTANT,
    forecast=as_json(_FORECAST),
)


def account_item(account: Account) -> Item:
    """Write an account, with the keys of the index that finds those that are due."""
    listed_from = account.listed_from
    return {
        **_ACCOUNT.write(account),
        "record": {"S": ACCOUNT},
        "listedAs": {"S": ACCOUNT},
        # A second early at most, and only to be found: the account itself says whether it is due.
        "dueAt": {"S": NEVER_DUE if listed_from is None else whole_seconds(listed_from)},
    }


# An account that only licensing events have touched has no credit yet.
account_of = _ACCOUNT.read

# ── Ledger ────────────────────────────────────────────────────────────────────────────────────────

ENTRY = "entry#"
CALLS = "calls#"
"""How the items begin that list calls, and store the entry that charges these."""

SHARES = list_of(row(LotShare, lot_id=PLAIN, purchase_id=PLAIN, amount_micros=PLAIN, late=FLAG))
OTHER_MONTHS = Format(
    lambda months: [[MONTH.write(month), micros] for month, micros in months],
    lambda stored: tuple((MONTH.read(month), micros) for month, micros in stored),
)
PRODUCER = as_json(row(Producer, account=PLAIN, source=PLAIN))
CHARGE = row(
    LedgerEntry,
    entry_id=PLAIN,
    amount_micros=PLAIN,
    balance_after_micros=PLAIN,
    at=SHORT_INSTANT,
    lots=SHARES,
    posted_at=SHORT_INSTANT,
    other_months=OTHER_MONTHS,
    call_ids=PLAIN_LIST,
)
"""The entry of a charge as the list of its calls stores it."""

_ENTRY = Record(
    LedgerEntry,
    organization_id=TEXT,
    entry_id=Field(attribute("S", prefixed(ENTRY)), "record"),
    type=attribute("S", enum_of(EntryType)),
    amount_micros=NUMBER,
    balance_after_micros=NUMBER,
    at=INSTANT,
    lots=as_json(SHARES),
    cause=TEXT,
    opens=as_json(LOT),
    call_ids=Field(as_json(PLAIN_LIST), "calls"),
    producer=PRODUCER,
    posted_at=INSTANT,
    other_months=as_json(OTHER_MONTHS),
)
# Of an entry that is in no list.
entry_item = _ENTRY.write
_CHARGEBACK = "chargeback#"


def entry_in(item: Item) -> LedgerEntry | None:
    """Read the ledger entry that an item of the credit table is or contains, if it does."""
    record = item["record"]["S"]
    if record.startswith(ENTRY):
        return _ENTRY.read(item)
    if not record.startswith(CALLS) or "entry" not in item:
        return None
    more: dict[str, Any] = {
        "organization_id": item["organizationId"]["S"],
        "type": EntryType.CHARGE,
    }
    entry: LedgerEntry = CHARGE.read(decode(item["entry"]["S"]), **more)
    return entry


def entry_key(organization_id: str, entry_id: str) -> Item:
    return credit_key(organization_id, f"{ENTRY}{entry_id}")


def chargeback_key(organization_id: str, purchase_id: str) -> Item:
    return credit_key(organization_id, f"{_CHARGEBACK}{purchase_id}")


def chargeback_item(organization_id: str, chargeback: Chargeback) -> Item:
    return {
        **chargeback_key(organization_id, chargeback.purchase_id),
        "amountMicros": NUMBER.write(chargeback.amount_micros),
    }


# ── Processed events ──────────────────────────────────────────────────────────────────────

# Text sorts as time does, for a condition compares when copies of an event were issued.
_EVENT = Record(ProcessedEvent, content=TEXT, entry_id=TEXT, issued_at=SORTABLE_INSTANT)

_EARLIER = "attribute_not_exists(organizationId) OR (content = :content AND issuedAt > :issued)"
"""`ProcessedEvent.is_earlier_than`, as DynamoDB reads it."""


def event_key(identity: EventIdentity) -> Item:
    if identity.kind is IdentityKind.EVENT:
        return {"eventId": {"S": identity.id}}
    return credit_key(identity.organization_id, f"{identity.kind}#{identity.id}")


def event_of(identity: EventIdentity, item: Item) -> ProcessedEvent:
    return _EVENT.read(item, key=identity)


def insert_event(tables: Tables, event: ProcessedEvent, *, by_update: bool = False) -> Operation:
    """Write a processed event unless its identity is recorded, other than of a later copy.

    `by_update` is for a role that may not put items beside accounts.
    """
    table = tables.events if event.key.kind is IdentityKind.EVENT else tables.credit
    item = {
        "organizationId": {"S": event.key.organization_id},
        **event_key(event.key),
        **_EVENT.write(event),
    }
    write = table.set if by_update else table.put
    if event.issued_at is None:
        return write(item, table.is_new)
    return write(item, _EARLIER, content=event.content, issued=item["issuedAt"]["S"])
