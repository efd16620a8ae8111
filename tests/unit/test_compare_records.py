"""`perminute calls compare`: what it finds, from where it gets our calls, and what it counts."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from report_stack import AS_OF, stack_that

from perminute.domain.comparison.record_comparison import OperatorCharge
from perminute.sources.registry import SOURCES
from perminute_local.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIRECTORY = """kind,key,source,organization_id,leg_type,organizer_id
tenant,tenant-1,,contoso,,
number,+12065550100,,,tollDialIn,
number,+12065550199,zoom-telephone,,tollDialIn,
"""
AT = ("--at", "2026-11-20T00:00:00Z")


def row(n: int, **changed: Any) -> dict[str, Any]:
    """A row of Graph: a dial-in of a minute."""
    return {
        "id": f"call-{n}",
        "userId": "adele",
        "callType": "conf_in",
        "startDateTime": f"2026-11-03T08:{n:02}:00Z",
        "endDateTime": f"2026-11-03T08:{n + 1:02}:00Z",
        "duration": 60,
        "charge": 0.02,
        "currency": "USD",
        "calleeNumber": "+12065550100",
        "callerNumber": "+493012345678",
    } | changed


def event(n: int, **changed: Any) -> dict[str, Any]:
    """The event of the same call."""
    detail = {
        "callId": f"call-{n}",
        "organizationId": "contoso",
        "organizerId": "adele",
        "meetingId": f"call-{n}",
        "meetingType": "scheduled",
        "legType": "tollDialIn",
        "serviceNumber": "+12065550100",
        "remoteNumber": "+493012345678",
        "answeredAt": f"2026-11-03T08:{n:02}:00Z",
        "endedAt": f"2026-11-03T08:{n + 1:02}:00Z",
        "billableSeconds": 60,
    } | changed
    return {
        "id": f"e-{n}",
        "source": "perminute.telephony",
        "detail-type": "Call Ended",
        "time": "2026-11-19T00:00:00Z",
        "detail": detail,
    }


def replayed(n: int, **changed: Any) -> dict[str, Any]:
    """The same call in the JSON of a replay."""
    return {
        "organizationId": "contoso",
        "callId": f"call-{n}",
        "outcome": "charged",
        "prefix": "1206",
        "billedSeconds": 60,
        "retailCost": "0.04",
        "charge": "0.02",
        "currency": "USD",
    } | changed


Compare = Any


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compare:
    def run(rows: list[dict[str, Any]], *options: str, calls: object = None) -> Any:
        (tmp_path / "directory.csv").write_text(DIRECTORY)
        (tmp_path / "page.json").write_text(json.dumps({"value": rows}))
        command = ["calls", "compare", "--from", "graph-pstn", "--tenant", "tenant-1"]
        command += ["--directory", str(tmp_path / "directory.csv"), *options]
        if calls is not None:
            lines = calls if isinstance(calls, list) else [calls]
            (tmp_path / "calls").write_text("\n".join(map(json.dumps, lines)))
            command += ["--calls", str(tmp_path / "calls")]
        code = main([*command, *AT, str(tmp_path / "page.json")])
        shown = capsys.readouterr()
        return code, shown.out.replace(f"{tmp_path}/", ""), shown.err.replace(f"{tmp_path}/", "")

    return run


def kinds(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["kind"], one["callId"]) for one in document["differences"]]


def test_calls_that_agree_are_no_answer(compare: Compare) -> None:
    code, out, err = compare([row(1), row(2)], calls=[event(1), event(2)])
    assert (code, out) == (0, "")
    assert err == "2 records: 2 calls agree, 0 differences, 2 costs not compared\n"


def test_each_kind_is_found_counted_and_written_as_csv(compare: Compare, tmp_path: Path) -> None:
    rows = [row(1), row(2), row(3), row(4)]
    ours = [
        event(1, billableSeconds=61),
        event(2, serviceNumber="+12065550101"),
        event(3, organizerId="=HYPERLINK()"),
        event(5),
        event(6, endedAt="2026-11-18T00:00:01Z", answeredAt=None, billableSeconds=0),
        event(7, serviceNumber="+12065550199"),
        event(8, organizationId="fabrikam"),
    ]
    path = tmp_path / "differences.csv"
    code, out, _ = compare(rows, "--json", "--csv", str(path), calls=ours)
    document = json.loads(out)
    assert code == 1
    expected = [
        *(("seconds", "call-1"), ("number", "call-2"), ("organizer", "call-3")),
        *(("onlyThere", "call-4"), ("onlyHere", "call-5")),
    ]
    assert kinds(document) == expected
    assert document["kinds"]["seconds"] == {"calls": 1, "seconds": 1, "costs": {}}
    assert document["kinds"]["onlyThere"] == {
        "calls": 1,
        "seconds": -60,
        "costs": {"USD": "-0.02"},
    }
    counts = ("equal", "tooRecent", "otherSources", "otherOrganizations", "costsNotCompared")
    assert [document[name] for name in counts] == [0, 1, 1, 1, 3]
    with path.open(encoding="utf-8-sig", newline="") as lines:
        cells = list(csv.DictReader(lines))
    assert [(one["kind"], one["callId"]) for one in cells] == expected
    assert cells[2]["ours"] == "'=HYPERLINK()", "no spreadsheet computes it"


def test_lines_name_the_record_and_sums_say_what_we_have_more_of(compare: Compare) -> None:
    code, out, _ = compare([row(1)], calls=[event(1, billableSeconds=61)])
    assert code == 1
    assert out.splitlines() == [
        "seconds: call-1 of contoso: theirs 60, ours 61 (page.json#/value/0)",
        "seconds: 1 call (ours less theirs: +1 s)",
    ]


def test_a_record_in_problem_is_told_and_its_call_is_not_missed(compare: Compare) -> None:
    rows = [row(1), row(2, calleeNumber="+12065550155")]
    code, out, err = compare(rows, "--json", calls=[event(1), event(2)])
    document = json.loads(out)
    assert (code, document["differences"], document["equal"]) == (1, [], 1)
    assert [one["reason"] for one in document["problems"]] == ["unknownServiceNumber"]
    assert "page.json#/value/1: unknownServiceNumber: " in err


def test_a_record_that_is_damaged_is_named(compare: Compare) -> None:
    damaged: Any = "no row"
    code, _, err = compare([row(1), damaged], calls=[event(1)])
    assert code == 0
    assert "page.json#/value/1: notACallRecord: must be a JSON object\n" in err
    assert "2 records: 1 call agrees, 0 differences, 1 record skipped" in err


def test_of_a_replay_what_it_says_is_compared(compare: Compare) -> None:
    rows = [row(n) for n in range(1, 5)]
    ours = [
        replayed(1),
        replayed(2, charge="0.05"),
        replayed(3, billedSeconds=120),
        replayed(4, prefix="1207"),
    ]
    code, out, _ = compare(rows, "--json", calls={"calls": ours, "ledger": []})
    document = json.loads(out)
    assert code == 1
    assert kinds(document) == [("cost", "call-2"), ("seconds", "call-3"), ("number", "call-4")]
    assert document["kinds"]["cost"]["costs"] == {"USD": "0.03"}
    assert (document["equal"], document["costsNotCompared"]) == (1, 0)


def test_an_export_that_rounds_to_cents_agrees_with_the_exact_cost(compare: Compare) -> None:
    ours = {"calls": [replayed(1, charge="0.0249")]}
    assert compare([row(1)], calls=ours)[0] == 0
    assert compare([row(1, charge="0.020")], calls=ours)[0] == 1


def test_several_calls_of_one_event_and_events_of_other_kinds_are_read(compare: Compare) -> None:
    together = {**event(0), "detail-type": "Calls Ended"}
    together["detail"] = {"calls": [event(1)["detail"], event(2)["detail"]]}
    license_event = {"source": "perminute.licensing", "detail-type": "License Assigned"}
    again = event(1, billableSeconds=99)
    code, _, err = compare([row(1), row(2)], calls=[license_event, together, again])
    assert code == 0, "of a call that is reported twice the first counts"
    assert "2 calls agree" in err


def test_a_faulty_line_of_ours_is_named(compare: Compare) -> None:
    faulty = event(2, endedAt="yesterday")
    code, out, err = compare([row(1)], calls=[event(1), faulty])
    assert (code, out) == (2, "")
    assert "nothing was compared: 1 of the lines" in err
    assert "calls:2: endedAt: must be" in err


def test_a_line_of_ours_without_a_readable_source_is_named(compare: Compare) -> None:
    code, _, err = compare([row(1)], calls=[event(1) | {"source": {}}])
    assert code == 2
    assert "calls:1: source: must be" in err


def test_our_calls_come_from_one_place(compare: Compare) -> None:
    for options in ([], ["--stack", "perminute-dev", "--calls", "calls"]):
        code, _, err = compare([row(1)], *options)
        assert code == 2
        assert "needs either --calls FILE, or --stack NAME" in err


def listed(n: int, **changed: Any) -> dict[str, Any]:
    """The same call in the report `calls`."""
    return {
        "callId": f"call-{n}",
        "endedAt": f"2026-11-03T08:{n + 1:02}:00Z",
        "organizerId": "adele",
        "legType": "tollDialIn",
        "number": "+1206555****",
        "connectedSeconds": 60,
        "retailCost": "0.04",
        "charge": "0.02",
        "currency": "USD",
    } | changed


def answering(calls: list[dict[str, Any]], free: set[str]) -> Callable[[dict[str, Any]], Any]:
    def answer(asked: dict[str, Any]) -> Any:
        if asked["operation"] == "calls":
            assert (asked["from"], asked["to"]) == ("2026-11-03T00:00:00Z", "2026-11-04T00:00:00Z")
            return {"asOf": AS_OF, "calls": calls, "next": None}
        if asked["callId"] not in free:
            return {"error": "notFound", "message": "is not known"}
        return {
            "input": listed(int(asked["callId"][-1])),
            "price": {"retailCost": None, "currency": None},
            "charge": {"amount": "0.02", "currency": "USD"},
        }

    return answer


def test_a_stack_is_asked_for_the_days_of_the_records_and_for_each_free_call(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(1), row(2), row(3), row(4, duration=0), row(5)]
    calls = [listed(1), listed(5, charge="0.05"), listed(6)]
    stack = stack_that(monkeypatch, answering(calls, free={"call-2"}))
    code, out, _ = compare(rows, "--json", "--stack", "perminute-dev")
    document = json.loads(out)
    assert code == 1
    assert kinds(document) == [("onlyThere", "call-3"), ("cost", "call-5"), ("onlyHere", "call-6")]
    assert (document["equal"], document["unanswered"]) == (2, 1)
    looked_up = [one["callId"] for one in stack.asked if one["operation"] == "explanation"]
    assert looked_up == ["call-2", "call-3"], "nobody answered the fourth"
    assert {one["organizationId"] for one in stack.asked} == {"contoso"}


def test_only_the_records_of_one_organization_are_compared_if_it_is_named(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_that(monkeypatch, answering([], free=set()))
    code, _, err = compare([row(1)], "--stack", "perminute-dev", "--organization", "fabrikam")
    assert (code, stack.asked) == (0, [])
    assert "0 calls agree, 0 differences" in err


@pytest.mark.parametrize(
    ("source", "record", "expected"),
    [
        ("graph-pstn", {"charge": 0.026, "currency": "USD"}, (26_000, 3, "USD")),
        ("graph-pstn", {"charge": 1, "currency": "usd"}, (1_000_000, 2, "USD")),
        ("graph-pstn", {"charge": None}, None),
        ("graph-pstn", {"charge": "free"}, None),
        ("teams-csv", {"Charge": "0.12", "Currency": "EUR"}, (120_000, 2, "EUR")),
        ("twilio-call", {"price": "-0.0085", "price_unit": "USD"}, (8_500, 4, "USD")),
        ("twilio-call", {"price": "-0.00000051", "price_unit": "USD"}, (1, 6, "USD")),
        ("zoom-telephone", {"total": 4}, (4_000_000, 2, None)),
    ],
)
def test_what_operators_charge_is_read_exactly(
    source: str, record: dict[str, Any], expected: tuple[int, int, str | None] | None
) -> None:
    charge = SOURCES[source].charge
    assert charge is not None
    read = json.loads(json.dumps(record), parse_float=Decimal)
    assert charge(read) == (expected and OperatorCharge(*expected))


def test_sources_without_an_amount_state_none() -> None:
    stating = {name for name, source in SOURCES.items() if source.charge}
    assert stating == {"graph-pstn", "teams-csv", "twilio-call", "zoom-telephone"}
