"""Between the domain's values and the rows that hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.rows import (
    AccountRow,
    EntryRow,
    Item,
    OutboxRow,
    TimelineRow,
    UsageRow,
    item_of,
)
from perminute.adapters.notification_documents import document_of
from perminute.domain.accounts import Account, CreditSettings
from perminute.domain.ledger import EntryType, LedgerEntry
from perminute.domain.legs import Leg, LegType, MeetingType
from perminute.domain.licensing import NotEntitled
from perminute.domain.lots import Lot, Lots, LotShare
from perminute.domain.rate_card import Unpriced
from perminute.domain.recharge import AutoRecharge, RechargeRequest, RechargeState
from perminute.domain.timelines import Fact, Timeline
from perminute.domain.times import format_instant, parse_instant
from perminute.domain.usage import Flag, Free, Outcome, Price, Reason, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.domain.notifications import Notification

ACCOUNT = "account"
ACCOUNTS_INDEX = "AccountsByDueDate"
NEVER_DUE = "9999"
ORGANIZATION = "organization"
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
        entries=account.entries,
        balance_micros=account.balance_micros,
        debt_micros=account.debt_micros,
        currency=account.currency,
        credits_set_up_at=account.credits_set_up_at,
        settings=account.settings and _settings_record(account.settings),
        as_of=account.as_of,
        lots=[_lot_record(lot) for lot in account.lots] or None,
        recharge=_recharge_record(account.recharge),
        listed_as=ACCOUNT,
        due_at=NEVER_DUE if account.due_at is None else due_text(account.due_at),
    )


def account_of(row: AccountRow) -> Account:
    """Read an account; one that only licensing events have touched has no credit yet."""
    return Account(
        organization_id=row.organization_id,
        version=row.version,
        licensing_version=row.licensing_version,
        entries=row.entries,
        balance_micros=row.balance_micros,
        debt_micros=row.debt_micros,
        currency=row.currency,
        credits_set_up_at=row.credits_set_up_at,
        settings=_settings_of(row.settings) if row.settings else None,
        as_of=row.as_of,
        lots=_lots_of(row.lots or []),
        recharge=_recharge_of(row.recharge) if row.recharge else RechargeState(),
    )


def due_text(due_at: datetime) -> str:
    """Write when an account is due so that text sorts as time does: whole seconds, rounded down.

    A second early at most, and only to be found: the account itself says whether it is due.
    """
    return format_instant(due_at.replace(microsecond=0))


def _lot_record(lot: Lot) -> list[Any]:
    """Write a lot as a list: names would make half of the account item, which charges write."""
    return [
        lot.lot_id,
        lot.purchase_id,
        format_instant(lot.purchased_at),
        format_instant(lot.expires_at),
        lot.remaining_micros,
        lot.warned,
    ]


def _lots_of(record: list[list[Any]]) -> Lots:
    return tuple(
        Lot(
            lot_id=lot_id,
            purchase_id=purchase_id,
            purchased_at=parse_instant(purchased_at),
            expires_at=parse_instant(expires_at),
            remaining_micros=remaining_micros,
            warned=warned,
        )
        for lot_id, purchase_id, purchased_at, expires_at, remaining_micros, warned in record
    )


def _recharge_record(state: RechargeState) -> dict[str, Any] | None:
    if state == RechargeState():
        return None
    return {
        "requests": state.requests,
        "waiting": [
            [one.recharge_id, one.amount_micros, format_instant(one.requested_at)]
            for one in state.waiting
        ],
        "failures": state.failures,
        "month": state.month and f"{state.month:%Y-%m}",
        "monthMicros": state.month_micros,
        "limitTold": state.limit_told,
    }


def _recharge_of(record: dict[str, Any]) -> RechargeState:
    return RechargeState(
        requests=record["requests"],
        waiting=tuple(
            RechargeRequest(
                recharge_id=recharge_id,
                amount_micros=amount_micros,
                requested_at=parse_instant(requested_at),
            )
            for recharge_id, amount_micros, requested_at in record["waiting"]
        ),
        failures=record["failures"],
        month=parse_instant(f"{record['month']}-01T00:00:00Z") if record["month"] else None,
        month_micros=record["monthMicros"],
        limit_told=record["limitTold"],
    )


def _settings_record(settings: CreditSettings) -> dict[str, Any]:
    recharge = settings.auto_recharge
    return {
        "configuredAt": format_instant(settings.configured_at),
        "eventId": settings.event_id,
        "currency": settings.currency,
        "thresholdsMicros": settings.low_balance_thresholds_micros,
        "autoRecharge": recharge
        and {
            "triggerMicros": recharge.trigger_micros,
            "rechargeMicros": recharge.recharge_micros,
            "monthlyLimitMicros": recharge.monthly_limit_micros,
        },
    }


def _settings_of(record: dict[str, Any]) -> CreditSettings:
    recharge = record["autoRecharge"]
    return CreditSettings(
        configured_at=parse_instant(record["configuredAt"]),
        event_id=record["eventId"],
        currency=record["currency"],
        low_balance_thresholds_micros=tuple(record["thresholdsMicros"]),
        auto_recharge=recharge
        and AutoRecharge(
            trigger_micros=recharge["triggerMicros"],
            recharge_micros=recharge["rechargeMicros"],
            monthly_limit_micros=recharge["monthlyLimitMicros"],
        ),
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
    )


def entry_record(entry_id: str) -> str:
    """Name the record of an entry."""
    return f"entry#{entry_id}"


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
    )


def _shares_record(shares: tuple[LotShare, ...]) -> list[list[str | int]] | None:
    return [list(share) for share in shares] or None


def _shares_of(record: Sequence[Sequence[Any]]) -> tuple[LotShare, ...]:
    return tuple(LotShare(*share) for share in record)


def outbox_row(notifications: Sequence[Notification]) -> OutboxRow:
    """Write the notifications of one posting, under the id of the first: no other has it."""
    return OutboxRow(
        organization_id=notifications[0].organization_id,
        record=f"outbox#{notifications[0].id}",
        notifications=[document_of(one) for one in notifications],
    )


def usage_item(usage: Usage) -> Item:
    """Write a usage; what is empty is left out of its record."""
    leg, price = usage.leg, usage.price
    record = {
        "meetingId": leg.meeting_id,
        "meetingType": leg.meeting_type.value,
        "legType": leg.leg_type.value,
        "serviceNumber": leg.service_number,
        "remoteNumber": leg.remote_number,
        "endedAt": format_instant(leg.ended_at),
        "billableSeconds": leg.billable_seconds,
        "reason": usage.reason and usage.reason.value,
        "flags": [flag.value for flag in usage.flags] or None,
        "lots": _shares_record(usage.lots),
        "rateCardVersion": price.rate_card_version,
        "billedSeconds": price.billed_seconds,
        "prefix": price.prefix,
        "country": price.country,
        "rateMicrosPerMinute": price.rate_micros_per_minute,
        "connectionFeeMicros": price.connection_fee_micros,
        "retailMicros": price.retail_micros,
        "currency": price.currency,
        "unpriced": price.unpriced and price.unpriced.value,
    }
    return item_of(
        UsageRow,
        {
            "organization_id": leg.organization_id,
            "call_id": leg.call_id,
            "organizer_id": leg.organizer_id,
            "answered_at": leg.answered_at,
            "outcome": usage.outcome.value,
            "charge_micros": usage.charge_micros,
            "entry_id": usage.entry_id,
            "record": {name: value for name, value in record.items() if value is not None},
        },
    )


def usage_of(row: UsageRow) -> Usage:
    """Read a usage."""
    record: dict[str, Any] = row.record
    reason = record.get("reason")
    return Usage(
        leg=_leg_of(row, record),
        outcome=Outcome(row.outcome),
        reason=_REASONS[reason] if reason else None,
        price=_price_of(record),
        charge_micros=row.charge_micros,
        flags=tuple(Flag(flag) for flag in record.get("flags", ())),
        entry_id=row.entry_id,
        lots=_shares_of(record.get("lots", ())),
    )


def _leg_of(row: UsageRow, record: dict[str, Any]) -> Leg:
    return Leg(
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
    )


def _price_of(record: dict[str, Any]) -> Price:
    unpriced = record.get("unpriced")
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
    )


def subject_of(user_id: str | None) -> str:
    """Name the timeline of a user, or of the organization itself."""
    return ORGANIZATION if user_id is None else f"user#{user_id}"


def fact_text(fact: Fact) -> str:
    """Write a fact as one JSON line."""
    return json.dumps(
        [
            fact.attribute,
            fact.value,
            format_instant(fact.effective_at),
            format_instant(fact.issued_at),
            fact.event_id,
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def timeline_of(row: TimelineRow) -> Timeline:
    """Read the facts of a subject."""
    return Timeline(map(_fact_of, row.facts))


def _fact_of(text: str) -> Fact:
    attribute, value, effective_at, issued_at, event_id = json.loads(text)
    return Fact(
        attribute=attribute,
        value=value,
        effective_at=parse_instant(effective_at),
        issued_at=parse_instant(issued_at),
        event_id=event_id,
    )
