"""`perminute replay` over the example day: what it says, and that disturbance changes nothing."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from botocore.exceptions import ReadTimeoutError
from replayed_day import DAY

from perminute.adapters.dynamodb.books import DynamoDBBookChecks
from perminute.adapters.dynamodb.tables import connect
from perminute.application import ingest_records
from perminute.application.check_books import BooksReport
from perminute.domain.credit.recharge import recharge_id
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Free, Outcome
from perminute_local.cli import main
from perminute_local.replay import run
from perminute_local.replay.results import drain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from replayed_day import ReplayedDay


@pytest.fixture(autouse=True)
def _on_one_emulator(one_emulator: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
    with one_emulator():
        yield


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def run(folder: Path = DAY, *options: str) -> dict[str, Any]:
        assert main(["replay", str(folder), "--json", *options]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return run


@pytest.fixture
def day(replayed_day: ReplayedDay) -> dict[str, Any]:
    """What `perminute replay --json` shows of the example day as it is."""
    document: dict[str, Any] = json.loads(json.dumps(replayed_day.results.document()))
    return document


def test_the_example_day_shows_every_outcome_and_its_books_balance(
    day: dict[str, Any],
) -> None:
    shown = {(call["outcome"], call["reason"]) for call in day["calls"]}
    assert {outcome for outcome, _ in shown} == set(Outcome)
    assert {reason for _, reason in shown if reason} == {*Free, *NotEntitled, *Unpriced}
    assert len(day["organizations"]) == 4
    assert (day["differences"], day["unread"]) == ([], [])
    _check_books(day)
    _check_against_the_events(day)


def _check_books(document: dict[str, Any]) -> None:
    """Balance = sum of the ledger; each charge = the sum of its calls, and so are all together."""
    calls = {(c["organizationId"], c["callId"]): c for c in document["calls"]}
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    taken: defaultdict[str, Decimal] = defaultdict(Decimal)
    for entry in document["ledger"]:
        organization = entry["organizationId"]
        sums[organization] += Decimal(entry["amount"])
        assert Decimal(entry["balanceAfter"]) == sums[organization]
        named = [calls[organization, call] for call in entry["calls"]]
        if named and entry["type"] != "expiry":
            taken[organization] -= Decimal(entry["amount"])
        if entry["type"] == "charge" and not any("rerated" in call["flags"] for call in named):
            assert Decimal(entry["amount"]) == -sum(Decimal(call["charge"]) for call in named)
    for organization, account in document["organizations"].items():
        charges = (Decimal(c["charge"]) for (name, _), c in calls.items() if name == organization)
        assert taken[organization] == sum(charges)
        assert Decimal(account["balance"]) == sums[organization]


def _check_against_the_events(document: dict[str, Any]) -> None:
    """Each call that was sent is recorded once, or refused; each refused event is named once."""
    lines = map(json.loads, (DAY / "events.jsonl").read_text().splitlines())
    events = [line for line in lines if "request" not in line]
    rejected = Counter(one["eventId"] for one in document["rejected"])
    assert set(rejected) == {event["id"] for event in events if event["id"].startswith("x-")}
    assert set(rejected.values()) == {1}
    sent = {
        event["detail"]["callId"]
        for event in events
        if event["detail-type"] == "Call Ended" and event["id"] not in rejected
    }
    recorded = Counter(_recorded_calls())
    assert len(recorded) >= 40
    assert Counter(call["callId"] for call in document["calls"]) == recorded + Counter(sent)


def _recorded_calls() -> Iterator[str]:
    """The ids of the calls in the records of the day, whose own readers are not asked."""
    records = DAY / "records"
    for line in (records / "twilio-callback" / "requests.jsonl").read_text().splitlines():
        yield dict(parse_qsl(json.loads(line)["body"]))["CallSid"]
    for path in (records / "chime-voice-connector").rglob("*_*"):
        yield json.loads(path.read_text())["TransactionId"]
    with (records / "asterisk-csv" / "Master.csv").open(newline="") as log:
        for row in csv.reader(log):
            yield row[16]


@pytest.mark.thorough
def test_duplicates_order_and_batch_size_change_no_outcome_and_no_balance(
    day: dict[str, Any], replay: Callable[..., dict[str, Any]]
) -> None:
    disturbed = replay(DAY, "--seed", "7", "--duplicate", "0.5", "--shuffle", "--batch-size", "3")
    assert disturbed["organizations"] == day["organizations"]
    assert [_settled(call) for call in disturbed["calls"]] == [
        _settled(call) for call in day["calls"]
    ]
    assert sorted(r["eventId"] for r in disturbed["rejected"]) == sorted(
        r["eventId"] for r in day["rejected"]
    )


def _settled(call: dict[str, Any]) -> dict[str, Any]:
    """What of a call does not depend on what was booked before it."""
    return {name: value for name, value in call.items() if name not in {"flags", "lots"}}


def test_the_example_day_shows_a_bridge_that_asks_first(day: dict[str, Any]) -> None:
    answers = [
        (one["sequence"], one["decision"], one["reason"], one["grantedSeconds"], one["finalUnit"])
        for one in day["responses"]
        if "sequence" in one
    ]
    assert answers == [
        (0, "allow", None, 540, True),
        (0, "deny", "blockedNumber", 0, True),
        (0, "allow", None, 300, False),
        (0, "deny", "spendLimit", 0, True),
        (1, "allow", None, 180, True),
        (1, "allow", None, 0, False),
        (1, "allow", None, 300, False),
        (2, "allow", None, 0, False),
    ]
    calls = [call for call in day["calls"] if call["organizationId"] == "woodgrove"]
    assert [call["charge"] for call in calls] == ["2.24", "0.12", "0.045"]
    assert day["organizations"]["woodgrove"]["balance"] == "0.595"


def test_the_example_day_ends_with_a_report_that_agrees_with_its_calls(
    day: dict[str, Any],
) -> None:
    *_, usage = day["responses"]
    calls = [call for call in day["calls"] if call["organizationId"] == "contoso"]
    listed = [call for call in calls if call["outcome"] != "free"]
    assert usage["total"]["calls"] == len(listed) == sum(row["calls"] for row in usage["rows"])
    assert Decimal(usage["total"]["charge"]) == sum(Decimal(call["charge"]) for call in calls)
    assert usage["omits"] == ["free"]


def test_what_is_asked_wrongly_is_answered_in_its_place(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    body = {
        "organizationId": "contoso",
        "callId": "c-1",
        "sequence": 0,
        "organizerId": "adele",
        "meetingId": "m-1",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "remoteNumber": "+493023125042",
    }
    at = "2026-11-02T09:00:00Z"
    lines = [
        {"request": "authorize", "time": at, "body": body},
        {"request": "authorize", "time": at, "body": body},
        {"request": "update", "time": at, "body": body | {"usedSeconds": 1}},
        {"request": "refund", "time": at, "body": body},
        {"request": "authorize", "body": body},
        {"request": "authorize", "time": at, "body": []},
        {"request": "authorize", "time": at},
        {"request": "authorize", "time": at, "body": {"organizationId": "contoso"}},
        {"request": "authorize", "time": at, "body": {**body, "callId": "c-2", "legType": "x"}},
        {"request": "call", "time": at, "body": {"organizationId": "contoso"}},
        {"request": "call", "time": at, "body": body | {"callId": "c-2"}},
        {"request": "call", "time": at, "body": body},
        {"request": "callsUnderWay", "time": at, "body": {"organizationId": "contoso"}},
        {"request": "balance", "time": at, "body": {"organizationId": "contoso"}},
    ]
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    document = replay(tmp_path, "--seed", "3", "--duplicate", "1.0", "--shuffle")
    first, again, *others, call, calls, balance = document["responses"]
    assert (first["decision"], first["reason"]) == ("deny", "noLicense")
    assert again == first
    assert [(one["error"], one["message"].partition(":")[0]) for one in others] == [
        ("conflict", "sequence"),
        ("invalid", "request"),
        ("invalid", "time"),
        ("invalid", "body"),
        ("invalid", "body"),
        ("invalid", "body.callId"),
        ("invalid", "legType"),
        ("invalid", "body.callId"),
        ("notFound", "callId"),
    ]
    assert (call["state"], call["reason"]) == ("denied", "noLicense")
    assert calls == {"calls": [], "next": None}
    assert balance["balance"] == "0"
    assert document["rejected"] == []


def test_the_example_day_shows_lots_and_all_that_is_told_of_credit(
    day: dict[str, Any],
) -> None:
    told = [
        (one["at"][:16], one["organizationId"], one["type"])
        for one in day["notifications"]
        if "callId" not in one
    ]
    assert told == [
        ("2026-10-30T09:00", "contoso", "CreditExpiring"),
        ("2026-10-30T09:00", "contoso", "CreditExpiring"),
        ("2026-11-02T09:30", "woodgrove", "SpendLimitReached"),
        ("2026-11-02T10:29", "contoso", "MinutePoolThreshold"),
        ("2026-11-02T10:30", "contoso", "MinutePoolThreshold"),
        ("2026-11-02T12:09", "northwind", "MinutePoolThreshold"),
        ("2026-11-02T13:00", "contoso", "CreditExpired"),
        ("2026-11-02T14:09", "fabrikam", "LowBalance"),
        ("2026-11-02T14:34", "northwind", "MinutePoolThreshold"),
        ("2026-11-02T14:39", "contoso", "LowBalance"),
        ("2026-11-02T14:39", "contoso", "RechargeRequested"),
        ("2026-11-02T16:30", "contoso", "RechargeSucceeded"),
        ("2026-11-02T16:45", "fabrikam", "LowBalance"),
        ("2026-11-02T16:45", "fabrikam", "BalanceExhausted"),
    ]
    assert day["organizations"]["contoso"]["lots"] == [
        {"purchaseId": "po-1001", "remaining": "43.4581", "expiresAt": "2027-10-30T09:01:00Z"},
        {"purchaseId": "po-1002", "remaining": "150", "expiresAt": "2027-11-02T16:30:00Z"},
        {"purchaseId": "goodwill-1", "remaining": "1.25", "expiresAt": "2027-11-02T17:00:00Z"},
    ]
    assert day["differences"] == []


def test_the_example_day_shows_pools_policies_and_a_late_change(
    day: dict[str, Any],
) -> None:
    pools = {name: one["minutePools"] for name, one in day["organizations"].items()}
    assert pools == {
        "contoso": {"2026-11": {"minutes": 60, "used": 60}},
        "fabrikam": {},
        "northwind": {"2026-11": {"minutes": 120, "used": 120}},
        "woodgrove": {},
    }
    drawn = Counter[str]()
    for call in day["calls"]:
        drawn[call["organizationId"]] += call["poolMinutes"]
    assert +drawn == Counter({"contoso": 60, "northwind": 120})
    split = [c for c in day["calls"] if c["poolMinutes"] and c["outcome"] == "charged"]
    assert split
    for call in split:
        assert Decimal(0) < Decimal(call["charge"]) < Decimal(call["retailCost"])

    flags = Counter(flag for call in day["calls"] for flag in call["flags"])
    flagged = [one for one in day["notifications"] if one["type"] == "CallFlagged"]
    of_calls = sum(one.get("calls", 1) for one in flagged)
    assert of_calls == flags["dialOutNotAllowed"] + flags["tollFreeNotAllowed"]
    # The first call of an organizer, and a digest of the others, of the day that is not over.
    assert sorted(one["callId"] is None for one in flagged) == [False, False, True, True]
    assert flags["dialOutNotAllowed"]
    assert flags["tollFreeNotAllowed"]

    rerated = {c["callId"]: c for c in day["calls"] if "rerated" in c["flags"]}
    (entry,) = [e for e in day["ledger"] if (e["cause"] or "").startswith("rerating#")]
    assert entry["type"] == "adjustment"
    assert entry["at"] == "2026-11-02T15:30:00Z"
    assert set(entry["calls"]) == set(rerated)
    assert Decimal(entry["amount"]) == -sum(Decimal(one["charge"]) for one in rerated.values())
    assert {one["outcome"] for one in rerated.values()} == {"charged"}


def test_time_passes_between_events_and_once_more_after_the_last(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    lots = {"po-1": "2025-01-31T10:00:00Z", "po-2": "2025-03-01T09:00:00Z"}
    events = [
        _billing(
            "Credit Purchased", at, purchaseId=name, amount="10", currency="USD", purchasedAt=at
        )
        for name, at in lots.items()
    ]
    last = "2026-03-01T09:30:00Z"
    events.append(_billing("Credit Adjusted", last, adjustmentId="a-1", amount="1", reason="why"))
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    document = replay(tmp_path)
    assert [(n["type"], n["at"], n.get("purchaseId")) for n in document["notifications"]] == [
        ("CreditExpiring", "2026-01-02T00:05:00Z", "po-1"),
        ("CreditExpiring", "2026-01-31T00:05:00Z", "po-2"),
        ("CreditExpired", "2026-01-31T10:00:00Z", "po-1"),
        ("BalanceExhausted", "2026-03-01T09:00:00Z", None),
        ("CreditExpired", "2026-03-01T09:00:00Z", "po-2"),
    ]
    assert [(e["type"], e["amount"], e["at"]) for e in document["ledger"]] == [
        ("purchase", "10", lots["po-1"]),
        ("purchase", "10", lots["po-2"]),
        ("expiry", "-10", "2026-01-31T10:00:00Z"),
        ("expiry", "-10", "2026-03-01T09:00:00Z"),
        ("adjustment", "1", last),
    ]


def test_after_the_last_event_what_is_due_by_then_is_booked(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    at = "2026-11-02T09:00:00Z"
    bought = _billing(
        "Credit Purchased",
        at,
        purchaseId="po-1",
        amount="10",
        currency="USD",
        purchasedAt=at,
        expiresAt="2026-11-02T11:00:00Z",
    )
    elsewhere = _billing(
        "Credits Configured", "2026-11-02T11:00:00Z", organizationId="fabrikam", currency="USD"
    )
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, [bought, elsewhere])))
    document = replay(tmp_path)
    assert document["organizations"]["contoso"]["balance"] == "0"
    assert [n["type"] for n in document["notifications"]] == ["BalanceExhausted", "CreditExpired"]


def test_daily_runs_have_come_to_their_end_when_a_replay_does(replayed_day: ReplayedDay) -> None:
    """What they queue for themselves is done before anything else happens."""
    results, links, _ = replayed_day
    checks = DynamoDBBookChecks(connect(), links.stack.setting("BOOK_CHECKS_TABLE"))
    known = {one.organization_id: one for one in checks.all()}
    left = [
        message
        for queue in ("ExpiriesQueue", "ReconciliationsQueue")
        for message in drain(links.stack.queues[queue].url)
    ]
    accounts = results.document()["organizations"]
    assert {name for name, one in known.items() if one.checkpoint.entries} == {
        name for name, one in accounts.items() if one["currency"]
    }
    assert {(one.checked_at, one.differences, one.reading) for one in known.values()} == {
        (links.clock.now, 0, None)
    }
    assert left == []


def test_a_call_that_only_its_bridge_ends_is_charged_by_the_first_run_after_72_hours(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """Of an organization's day the release is kept, the `Call Ended` is not; days later it asks."""
    lines = (DAY / "events.jsonl").read_text().splitlines()
    read = [json.loads(line) for line in lines if line.strip() and not line.startswith("#")]
    events = [one for one in read if isinstance(one, dict)]
    released = next(
        one for one in events if one.get("request") == "release" and one["body"]["usedSeconds"]
    )
    call_id, organization = (released["body"][name] for name in ("callId", "organizationId"))
    kept = [
        one
        for one in events
        if f'"organizationId": "{organization}"' in json.dumps(one)
        if f'"{call_id}"' not in json.dumps(one.get("detail"))
    ]
    asked = {"request": "balance", "body": {"organizationId": organization}}
    before, after = (asked | {"time": f"2026-11-0{day}T12:00:00Z"} for day in (5, 6))
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, [*kept, before, after])))
    document = replay(tmp_path)
    (call,) = [one for one in document["calls"] if one["callId"] == call_id]
    reported = sum(
        one["body"].get("usedSeconds", 0)
        for one in events
        if one.get("request") in {"update", "release"} and one["body"]["callId"] == call_id
    )
    assert call["billedSeconds"] == -(-reported // 60) * 60
    assert call["flags"] == ["reportedByBridge"]
    told = [one for one in document["notifications"] if one.get("callId") == call_id]
    assert [(one["type"], one["reason"]) for one in told] == [("CallFlagged", "reportedByBridge")]
    (entry,) = [one for one in document["ledger"] if call_id in one["calls"]]
    assert (entry["type"], entry["at"]) == ("charge", "2026-11-06T00:05:00Z")
    reserved = [Decimal(one["reserved"]) for one in document["responses"][-2:]]
    assert reserved[0] - reserved[1] == Decimal(call["charge"])


def test_a_run_that_falls_between_two_events_of_a_second_comes_after_the_first(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """The daily run of 00:05 must not expire what an event of a moment before is paid from."""
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    at = "2026-11-02T09:00:00Z"
    bought = _billing(
        "Credit Purchased",
        at,
        purchaseId="po-1",
        amount="10",
        currency="USD",
        purchasedAt=at,
        expiresAt="2026-11-03T00:05:00Z",
    )
    before, after = (
        _billing("Credit Adjusted", at, adjustmentId=name, amount="-4", reason="why")
        for name, at in [("a", "2026-11-03T00:04:59.6Z"), ("b", "2026-11-03T00:05:00.4Z")]
    )
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, [bought, before, after])))
    assert [(e["type"], e["amount"]) for e in replay(tmp_path)["ledger"]] == [
        ("purchase", "10"),
        ("adjustment", "-4"),
        ("expiry", "-6"),
        ("adjustment", "-4"),
    ]


def test_a_recharge_that_is_paid_days_later_keeps_its_id_and_is_paid_once(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    auto = {"enabled": True, "triggerAmount": "20", "rechargeAmount": "50", "minimumPurchase": "50"}
    first, second, third = (recharge_id("contoso", number) for number in (1, 2, 3))
    events = [
        *_recharging(auto),
        _bought("2026-11-04T10:00:00Z", "po-2", "50", rechargeId=first),
        # Nobody answers the second one, and then it fails: that gives it up.
        _adjusted("2026-11-04T11:00:00Z", "a-2", "-50"),
        _billing(
            "Recharge Failed",
            "2026-11-06T09:00:00Z",
            rechargeId=second,
            reason="nobody knows",
        ),
        _bought("2026-11-06T10:00:00Z", "po-3", "50", rechargeId=third),
        # It was paid after all.
        _bought("2026-11-07T10:00:00Z", "po-4", "50", rechargeId=second),
    ]
    document = _replayed(replay, tmp_path, events)
    told = [
        (n["at"][:16], n["type"], n["rechargeId"], n.get("attempt"), n.get("afterFailure"))
        for n in document["notifications"]
        if "Recharge" in n["type"]
    ]
    assert told == [
        ("2026-11-02T09:00", "RechargeRequested", first, 1, None),
        ("2026-11-04T00:05", "RechargeRequested", first, 2, None),
        ("2026-11-04T10:00", "RechargeSucceeded", first, None, None),
        ("2026-11-04T11:00", "RechargeRequested", second, 1, None),
        ("2026-11-06T00:05", "RechargeRequested", second, 2, None),
        ("2026-11-06T09:00", "RechargeFailed", second, None, None),
        ("2026-11-06T09:00", "RechargeRequested", third, 1, None),
        ("2026-11-06T10:00", "RechargeSucceeded", third, None, None),
        ("2026-11-07T10:00", "RechargeSucceeded", second, None, True),
    ]
    ids = [n["id"] for n in document["notifications"]]
    assert len(ids) == len(set(ids))
    assert document["organizations"]["contoso"]["balance"] == "118"
    assert document["rejected"] == []


def test_a_recharge_amount_that_is_a_slip_is_asked_for_ten_times_a_day(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    auto = {"enabled": True, "triggerAmount": "20", "rechargeAmount": "0.01"}
    events = _recharging(auto)
    for number in range(1, 12):
        hour = "2026-11-02T10" if number < 11 else "2026-11-03T10"
        name = recharge_id("contoso", number)
        events.append(_bought(f"{hour}:{number:02}:00Z", f"po-1{number}", "0.01", rechargeId=name))
        # A program saves the settings again after each.
        events.append(_configured(f"{hour}:{number:02}:30Z", auto))
    refused = {"minimumPurchase": "50", **auto}
    events.append(_configured("2026-11-03T11:00:00Z", refused))
    document = _replayed(replay, tmp_path, events)
    told = [
        (n["type"], n["at"][:10], n.get("reason"))
        for n in document["notifications"]
        if n["type"] in {"RechargeRequested", "RechargeDisabled"}
    ]
    assert told == [
        *[("RechargeRequested", "2026-11-02", None)] * 10,
        ("RechargeDisabled", "2026-11-02", "dailyLimit"),
        *[("RechargeRequested", "2026-11-03", None)] * 2,
    ]
    assert [one["reason"] for one in document["rejected"]] == [
        "autoRecharge.rechargeAmount: must be at least minimumPurchase, 50"
    ]


def _recharging(auto: dict[str, Any]) -> list[dict[str, Any]]:
    """Credit of 50 that falls to 18 on the next day, and how it is recharged."""
    return [
        _configured("2026-11-01T00:00:00Z", auto),
        _bought("2026-11-01T00:00:01Z", "po-1", "50"),
        _adjusted("2026-11-02T09:00:00Z", "a-1", "-32"),
    ]


def _configured(at: str, auto: dict[str, Any]) -> dict[str, Any]:
    return _billing("Credits Configured", at, currency="USD", autoRecharge=auto)


def _bought(at: str, name: str, amount: str, **answers: str) -> dict[str, Any]:
    bought = {"purchaseId": name, "amount": amount, "currency": "USD", "purchasedAt": at}
    return _billing("Credit Purchased", at, **bought, **answers)


def _adjusted(at: str, name: str, amount: str) -> dict[str, Any]:
    return _billing("Credit Adjusted", at, adjustmentId=name, amount=amount, reason="why")


def _replayed(
    replay: Callable[..., dict[str, Any]], folder: Path, events: list[dict[str, Any]]
) -> dict[str, Any]:
    (folder / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    return replay(folder)


def _billing(detail_type: str, at: str, **detail: Any) -> dict[str, Any]:
    return {
        "id": f"{detail_type} {at}",
        "source": "perminute.billing",
        "detail-type": detail_type,
        "time": at,
        "detail": {"organizationId": "contoso", **detail},
    }


def test_lines_that_are_no_events_are_refused_by_their_line(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    (tmp_path / "events.jsonl").write_text(
        '\n# a comment\n["no", "object"]\n{"id": "e-1", "detail-type": "Call Ended"}\nnot JSON\n'
        '{"id": "e-2", "source": "perminute.telephony", "detail-type": "Call Ended"}\n'
        '{"id": 7, "source": "perminute.telephony", "detail-type": "Call Ended"}\n' + "[" * 99_999
    )
    document = replay(tmp_path)
    assert document["organizations"] == {}
    assert [(one["eventId"], one["reason"]) for one in document["rejected"]] == [
        ("e-1", "source: is required; without it no rule of the bus matches"),
        ("e-2", "time: is required; detail: is required"),
        ("events.jsonl:3", "events.jsonl:3: must be a JSON object, one event a line"),
        (
            "events.jsonl:5",
            "events.jsonl:5: is not JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        ("events.jsonl:7", "id: must be text; time: is required; detail: is required"),
        (
            "events.jsonl:8",
            "events.jsonl:8: is not JSON: maximum recursion depth exceeded "
            "while decoding a JSON array from a unicode string",
        ),
    ]


@pytest.mark.thorough
def test_calls_that_are_reported_together_are_charged_as_if_each_came_alone(
    replay: Callable[..., dict[str, Any]], day: dict[str, Any], tmp_path: Path
) -> None:
    """Those of one second in one event, whatever their organizations are; a refused one alone."""
    shutil.copytree(DAY, tmp_path, dirs_exist_ok=True)
    together: list[dict[str, Any]] = []
    alone: dict[str, str] = {}
    organizations: defaultdict[str, list[str]] = defaultdict(list)
    for line in (DAY / "events.jsonl").read_text().splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("detail-type") != "Call Ended" or "id" not in event or "time" not in event:
            together += [event] if event else []
            continue
        last = together[-1]
        if last.get("detail-type") != "Calls Ended" or last["time"] != event["time"]:
            last = {**event, "detail-type": "Calls Ended", "detail": {"calls": []}}
            together.append(last)
        alone.setdefault(event["id"], f"{last['id']}#{len(last['detail']['calls'])}")
        last["detail"]["calls"].append(event["detail"])
        organizations[last["id"]].append(event["detail"].get("organizationId"))
    assert max(len(set(own)) for own in organizations.values()) >= 2
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, together)))
    document = replay(tmp_path)
    for part in ("organizations", "calls", "differences"):
        assert document[part] == day[part]
    assert {one["eventId"]: one["reason"] for one in document["rejected"]} == {
        alone.get(one["eventId"], one["eventId"]): one["reason"] for one in day["rejected"]
    }


def test_records_arrive_without_any_event_and_problems_are_named_by_their_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    samples = DAY.parent / "call-records"
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    (tmp_path / "directory.csv").write_bytes((samples / "directory.csv").read_bytes())
    options = {"asterisk-csv": {"timezone": "Europe/Berlin"}, "twilio-callback": {"authToken": "1"}}
    for source, said in options.items():
        shutil.copytree(samples / source, tmp_path / "records" / source)
        (tmp_path / "records" / source / "OPTIONS.json").write_text(json.dumps(said))
    disturbed = ("--seed", "5", "--duplicate", "0.5", "--shuffle")
    assert main(["replay", str(tmp_path), "--json", *disturbed]) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    expected = map(
        json.loads, (samples / "asterisk-csv" / "expected.jsonl").read_text().splitlines()
    )
    legs = {one["callEnded"]["callId"] for one in expected if "callEnded" in one}
    assert {call["callId"] for call in document["calls"]} == legs
    assert len(document["calls"]) == len(legs)
    reasons = {one["eventId"]: one["reason"].partition(":")[0] for one in document["rejected"]}
    of_twilio = {name: reason for name, reason in reasons.items() if "/twilio-callback/" in name}
    # It is not the token that they were signed by.
    assert of_twilio == {
        f"records/twilio-callback/requests.jsonl:{line}": "invalidSignature"
        for line in range(1, 14)
    }
    assert reasons["records/asterisk-csv/Master.csv:9"] == "timezoneMismatch"
    assert reasons["records/asterisk-csv/Master.csv:12"] == "notACallRecord"
    assert len(reasons) == len(document["rejected"])
    assert "1 mergedLeg" in shown.err


def test_a_call_in_two_exports_is_charged_once_and_one_that_was_corrected_is_rejected(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    samples = DAY.parent / "call-records"
    header, row, *_ = (samples / "teams-csv" / "PSTN.calls.2026-11-05.csv").read_text().splitlines()
    page = json.loads((samples / "graph-pstn" / "page-1.json").read_text())
    tenant = json.dumps({"tenant": "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10"})
    later = row.replace(" 08:10:00.", " 08:11:00.").replace(",600,", ",660,")
    assert later != row
    files = {
        "rates.csv": (DAY / "rates.csv").read_text(),
        "directory.csv": (samples / "directory.csv").read_text(),
        "records/graph-pstn/OPTIONS.json": tenant,
        "records/graph-pstn/page.json": json.dumps({"value": page["value"][:1]}),
        "records/teams-csv/OPTIONS.json": tenant,
        "records/teams-csv/export.csv": f"{header}\r\n{row}\r\n",
        "records/teams-csv/export of a day later.csv": f"{header}\r\n\r\n{later}\r\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    document = replay(tmp_path)
    (call,) = document["calls"]
    assert (call["callId"], call["billedSeconds"]) == (page["value"][0]["id"].lower(), 600)
    (rejected,) = document["rejected"]
    assert rejected["eventId"] == "records/teams-csv/export of a day later.csv:3"
    conflict = (
        f"callId: conflict: call {call['callId']} of contoso is recorded with another endedAt"
    )
    assert rejected["reason"].startswith(conflict)


def test_of_a_file_that_is_read_in_parts_every_call_is_known(
    replay: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_records, "PART_BYTES", 2_000)
    for name in ("rates.csv", "directory.csv"):
        (tmp_path / name).write_bytes((DAY / name).read_bytes())
    folder = DAY / "records" / "chime-voice-connector"
    record = next(folder.rglob("*_*")).read_text()
    called = json.loads(record)["TransactionId"]
    path = tmp_path / "records" / "chime-voice-connector" / "many.json"
    path.parent.mkdir(parents=True)
    path.write_text("".join(record.replace(called, f"c-{n:03}") for n in range(20)))
    document = replay(tmp_path)
    assert sorted(call["callId"] for call in document["calls"]) == [f"c-{n:03}" for n in range(20)]


def test_an_organization_known_from_a_call_alone_is_listed_without_credit(
    replay: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    sample = DAY.parents[1] / "events" / "call-ended.v1.json"
    (tmp_path / "events.jsonl").write_text(json.dumps(json.loads(sample.read_text())))
    document = replay(tmp_path)
    assert document["organizations"] == {
        "contoso": {"currency": None, "balance": "0", "lots": [], "minutePools": {}}
    }
    assert [(c["outcome"], c["reason"]) for c in document["calls"]] == [
        ("notEntitled", "noLicense")
    ]


def test_what_came_from_outside_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    (tmp_path / "events.jsonl").write_text(
        '{"id": "[/x]", "source": "[bold]"}\n{"id": "\\ud800", "source": "x"}\n'
    )
    assert main(["replay", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "[/x]" in shown
    assert "'[bold]' is not a source that perminute reads" in shown
    assert "\\ud800" in shown


def test_the_tables_tell_balances_minutes_and_reasons(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    lines = (DAY / "events.jsonl").read_text().splitlines()
    events = [line for line in lines if '"northwind"' in line or '"x-number"' in line]
    (tmp_path / "events.jsonl").write_text("\n".join(events))
    assert main(["replay", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for words in (
        "northwind: balance 61.362333 USD = 100 put in - 38.637667 charged",
        "po-3001   2027-11-02   100.000000   38.637667   0.000000   61.362333",
        "northwind: minute pool of 2026-11: 120 of 120 minutes used",
        "The books agree.",
        "toll dial-in",
        "not volume licensing",
        "remoteNumber: must be an E.164 number",
    ):
        assert words in shown


def test_books_that_cannot_be_read_are_no_difference(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an answer took too long, at 100,000 calls."""
    at = "2026-11-02T09:00:00Z"
    event = json.dumps(_adjusted(at, "a-1", "1"))
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    (tmp_path / "events.jsonl").write_text(f"{event}\n")
    unread = BooksReport("contoso", unavailable="reading UsageTable: Read timeout")
    monkeypatch.setattr(run, "reconcile", lambda _: iter([unread]))
    assert main(["replay", str(tmp_path), "--json"]) == 1
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert (document["differences"], document["unread"]) == ([], ["contoso"])
    assert shown.err.splitlines()[-2:] == [
        "perminute: the books could not be read: contoso: reading UsageTable: Read timeout",
        "perminute: no call was charged: none was recorded; 1 event was refused",
    ]


def test_what_is_left_of_a_run_may_not_be_readable_at_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    (tmp_path / "events.jsonl").touch()

    def too_late(*_: object) -> None:
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1:1")

    monkeypatch.setattr(run, "collect", too_late)
    assert main(["replay", str(tmp_path), "--json"]) == 1
    shown = capsys.readouterr()
    message = 'the books could not be read: Read timeout on endpoint URL: "http://127.0.0.1:1"'
    assert json.loads(shown.out) == {"error": "booksNotRead", "message": message}
    assert shown.err == f"perminute: {message}\n"


def test_disturbances_need_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(DAY), "--shuffle"]) == 2
    assert "need a --seed" in capsys.readouterr().err
