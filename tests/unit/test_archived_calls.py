"""The lines of the archive: what a call was, and what it cost, in words of events and reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from builders import ANSWERED, ENDED, charge, holding, lot, phone_call, rating

from perminute.domain.rating.call_content import without_number
from perminute.domain.rating.erased_calls import erased_usage
from perminute.domain.rating.rate_card import Step
from perminute.domain.rating.usage_record import Adjusted, Flag, Outcome, Usage
from perminute.formats.archived_calls import (
    archived_call,
    by_month,
    erased,
    read_lines,
    write_lines,
)

PSEUDONYM = "erased-3f2a9c0b1d4e"


def usage(**changed: object) -> Usage:
    (charged,) = charge(holding(lot("x", 3_000_000)), [rating("call-1", 150_000)], at=ENDED).usages
    return charged._replace(**changed)  # type: ignore[arg-type] # fields of a usage


CORRECTED = usage(
    call=phone_call(billable_seconds=599, service_number="+18005550100"),
    authorized_at=ANSWERED,
    price=usage().price._replace(later_steps=(Step(300, 12_500, 6),)),
    flags=(Flag.RERATED,),
    adjustments=(Adjusted("000000000011", -50_000),),
    charge_micros=100_000,
    pool_minutes=2,
)


def test_a_line_says_what_was_reported_and_what_was_charged_and_why() -> None:
    line = {
        "organizationId": "contoso",
        "callId": "call-1",
        "organizerId": "adele",
        "meetingId": "meeting-1",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "serviceNumber": "+18005550100",
        "remoteNumber": "+493023125042",
        "answeredAt": "2026-11-02T09:00:00Z",
        "endedAt": "2026-11-02T09:10:00Z",
        "billableSeconds": 599,
        "connectedSeconds": 599,
        "authorizedAt": "2026-11-02T09:00:00Z",
        "outcome": "charged",
        "reason": None,
        "flags": ["rerated"],
        "rateCardVersion": "card-1",
        "prefix": "49",
        "country": "DE",
        "currency": "USD",
        "connectionFee": "0",
        "initialIncrementSeconds": 60,
        "steps": [
            {"fromSecond": 0, "ratePerMinute": "0.015", "incrementSeconds": 60},
            {"fromSecond": 300, "ratePerMinute": "0.0125", "incrementSeconds": 6},
        ],
        "billedSeconds": 600,
        "retailCost": "0.15",
        "poolMinutes": 2,
        "charge": "0.1",
        "lots": [{"purchaseId": "po-x", "amount": "-0.15"}],
        "movements": [
            {"entryId": "000000000010", "amount": "-0.15"},
            {"entryId": "000000000011", "amount": "0.05"},
        ],
    }
    assert archived_call(CORRECTED) == line
    written = write_lines([line, line])
    assert written.count(b"\n") == 2
    assert read_lines(written) == [line, line]


def test_a_call_without_a_price_has_no_amounts() -> None:
    line = archived_call(usage(outcome=Outcome.UNRATED))
    nothing: dict[str, Any] = {
        "connectionFee": None,
        "retailCost": None,
        "steps": [],
        "prefix": "49",
    }
    assert line.items() >= nothing.items()


def test_an_erased_line_is_that_of_an_erased_call() -> None:
    for one in (CORRECTED, usage(), without_number(usage(), b"key")):
        assert erased(archived_call(one), PSEUDONYM) == archived_call(
            erased_usage(one, PSEUDONYM, b"key")
        )


def test_whatever_an_id_contains_is_ascii_on_one_line() -> None:
    for meeting in ("a\nb", "\x1b[2J", "\u202egnp.exe", "\ud83d"):
        line = archived_call(usage(call=phone_call(meeting_id=meeting)))
        written = write_lines([line])
        assert written.isascii()
        assert written.count(b"\n") == 1
        assert b"\x1b" not in written
        assert read_lines(written) == [line]


def test_a_call_belongs_to_the_month_in_which_it_ended() -> None:
    over_midnight = replace(
        phone_call(),
        answered_at=datetime(2026, 11, 30, 23, 59, tzinfo=UTC),
        ended_at=datetime(2026, 12, 1, 0, 1, tzinfo=UTC),
    )
    december, november = usage(call=over_midnight), usage()
    assert [*by_month([december, november])] == [("2026-11", [november]), ("2026-12", [december])]
