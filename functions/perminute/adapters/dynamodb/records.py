"""Between the domain's values and the rows that hold them."""

from __future__ import annotations

import json
from typing import Any

from perminute.adapters.dynamodb.rows import (
    AccountRow,
    EntryRow,
    Item,
    TimelineRow,
    UsageRow,
    item_of,
)
from perminute.domain.accounts import Account, AutoRecharge, CreditSettings, EntryType, LedgerEntry
from perminute.domain.legs import Leg, LegType, MeetingType
from perminute.domain.licensing import NotEntitled
from perminute.domain.rate_card import Unpriced
from perminute.domain.timelines import Fact, Timeline
from perminute.domain.times import format_instant, parse_instant
from perminute.domain.usage import Flag, Free, Outcome, Price, Reason, Usage

ACCOUNT = "account"
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
        currency=account.currency,
        credits_set_up_at=account.credits_set_up_at,
        settings=account.settings and _settings_record(account.settings),
    )


def account_of(row: AccountRow) -> Account:
    """Read an account; one that only licensing events have touched has no credit yet."""
    return Account(
        organization_id=row.organization_id,
        version=row.version,
        licensing_version=row.licensing_version,
        entries=row.entries,
        balance_micros=row.balance_micros,
        currency=row.currency,
        credits_set_up_at=row.credits_set_up_at,
        settings=_settings_of(row.settings) if row.settings else None,
    )


def _settings_record(settings: CreditSettings) -> dict[str, Any]:
    recharge = settings.auto_recharge
    return {
        "configuredAt": format_instant(settings.configured_at),
        "eventId": settings.event_id,
        "currency": settings.currency,
        "lowBalanceThresholdsMicros": settings.low_balance_thresholds_micros,
        "autoRecharge": recharge
        and {
            "enabled": recharge.enabled,
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
        low_balance_thresholds_micros=tuple(record["lowBalanceThresholdsMicros"]),
        auto_recharge=recharge
        and AutoRecharge(
            enabled=recharge["enabled"],
            trigger_micros=recharge["triggerMicros"],
            recharge_micros=recharge["rechargeMicros"],
            monthly_limit_micros=recharge["monthlyLimitMicros"],
        ),
    )


def entry_row(entry: LedgerEntry) -> EntryRow:
    """Write a ledger entry."""
    return EntryRow(
        organization_id=entry.organization_id,
        record=f"entry#{entry.entry_id}",
        entry_id=entry.entry_id,
        type=entry.type.value,
        amount_micros=entry.amount_micros,
        balance_after_micros=entry.balance_after_micros,
        at=entry.at,
    )


def entry_of(row: EntryRow) -> LedgerEntry:
    """Read a ledger entry."""
    return LedgerEntry(
        organization_id=row.organization_id,
        entry_id=row.entry_id,
        type=EntryType(row.type),
        amount_micros=row.amount_micros,
        balance_after_micros=row.balance_after_micros,
        at=row.at,
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
