"""What `perminute quote` answers, in words and as JSON."""

from __future__ import annotations

import codecs
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, card

from perminute.domain.rating.calls import LegType
from perminute_local.rates.quotes import QuotedCall, answer_of, quote_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from perminute.domain.rating.rate_card import RateCard

BLOCKS = (
    "leg_type,prefix,currency,rate_per_minute,connection_fee,"
    "initial_increment_seconds,increment_seconds,from_second"
)
PERIODS = "leg_type,prefix,currency,rate_per_minute,effective_from,effective_to"
MASKED = "+447700900***"


def said(
    rates: RateCard,
    number: str,
    seconds: int = 60,
    at: datetime = ANSWERED,
    leg_type: LegType = LegType.DIAL_OUT,
) -> str:
    return answer_of(rates, QuotedCall(leg_type, number, seconds, at)).text


def document(rates: RateCard, number: str, currency: str | None = None) -> dict[str, Any]:
    return answer_of(rates, QuotedCall(LegType.DIAL_OUT, number, 60, ANSWERED), currency).document


# ── Parts that add up ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rows", "seconds", "text"),
    [
        (
            ["dialOut,39,USD,0,,1,1,0", "dialOut,39,USD,3,,1,1,10"],
            40,
            "1.5 USD (40 s billed: 10 s at 0, 30 s at 3 a minute, in blocks of 1 s, "
            "connection fee 0, prefix 39)",
        ),
        (
            ["dialOut,39,USD,0,,1,1,0", "dialOut,39,USD,3,,1,1,10"],
            5,
            "0 USD (5 s billed at 0 a minute, in blocks of 1 s, connection fee 0, prefix 39)",
        ),
        (
            ["dialOut,39,USD,0,0.5,60,60,0", "dialOut,39,USD,0.1,,60,60,60"],
            61,
            "0.6 USD (120 s billed: 60 s at 0, 60 s at 0.1 a minute, connection fee 0.5, "
            "prefix 39)",
        ),
        (
            ["dialOut,39,USD,0.006,,30,6,0"],
            61,
            "0.0066 USD (66 s billed at 0.006 a minute, in blocks of 30 s, then 6 s, "
            "connection fee 0, prefix 39)",
        ),
        (
            ["dialOut,39,USD,0.03,,90,60,0"],
            3,
            "0.045 USD (90 s billed at 0.03 a minute, in blocks of 90 s, connection fee 0, "
            "prefix 39)",
        ),
        (
            ["dialOut,39,USD,0.06,,60,6,0", "dialOut,39,USD,0.03,,60,30,62"],
            70,
            "0.079 USD (96 s billed: 62 s at 0.06, 34 s at 0.03 a minute, "
            "in blocks of 60 s, then 6 s, then 30 s, connection fee 0, prefix 39)",
        ),
        (
            # The step begins within a block, and no block within the step.
            ["dialOut,39,USD,0.06,,60,6,0", "dialOut,39,USD,0.03,,60,30,62"],
            61,
            "0.064 USD (66 s billed: 62 s at 0.06, 4 s at 0.03 a minute, "
            "in blocks of 60 s, then 6 s, connection fee 0, prefix 39)",
        ),
        (
            ["dialOut,39,USD,0.000001,,1,1,0"],
            31,
            "0.000001 USD (31 s billed at 0.000001 a minute, in blocks of 1 s, "
            "connection fee 0, prefix 39, rounded to a millionth)",
        ),
        (
            ["dialOut,39,USD,0.1,0.5,60,60,0"],
            0,
            "0 USD (0 s billed, so no connection fee, prefix 39)",
        ),
    ],
)
def test_a_price_is_said_with_the_parts_that_it_is_made_of(
    rows: list[str], seconds: int, text: str
) -> None:
    assert said(card(*rows, header=BLOCKS), "+39065550100", seconds) == f"+39065550100: {text}"


# ── Masked numbers ───────────────────────────────────────────────────────────────────────────

BASE, DEARER = "dialOut,447,GB,USD,0.32,,", "dialOut,4477009001,GB,USD,5,,"
PRICED = "0.32 USD (60 s billed at 0.32 a minute, connection fee 0, prefix 447)"
DOUBT = "the masked digits may hide a longer prefix: the call may"


@pytest.mark.parametrize(
    ("others", "may"),
    [
        ([DEARER], "cost up to 5 USD (prefix 4477009001)"),
        (["dialOut,4477009001,GB,USD,0.1,,"], "cost up to 0.32 USD (prefix 447)"),
        (["dialOut,4477009001,GB,USD,,,true"], "be blocked by prefix 4477009001"),
        (
            [DEARER, "dialOut,4477009002,GB,EUR,1,2,", "dialOut,4477009003,GB,USD,,,true"],
            "cost up to 3 EUR (prefix 4477009002) or 5 USD (prefix 4477009001) "
            "or be blocked by prefix 4477009003",
        ),
    ],
)
def test_what_masked_digits_may_hide_is_said_with_the_dearest_price(
    others: list[str], may: str
) -> None:
    rates = card(BASE, *others)
    assert said(rates, MASKED) == f"{MASKED}: {PRICED}; {DOUBT} {may}"
    assert document(rates, MASKED)["prefixUncertain"] is True


def test_what_is_certain_is_not_called_uncertain() -> None:
    rates = card(BASE, DEARER)
    assert "prefixUncertain" not in document(rates, "+447700900155")
    assert "prefixUncertain" not in document(rates, "+447700901***")
    assert said(rates, "+447700901***") == f"+447700901***: {PRICED}"


def test_a_number_without_a_price_may_hide_one_as_well() -> None:
    answer = document(card(DEARER), MASKED)
    assert (answer["error"], answer["prefixUncertain"]) == ("noRate", True)
    assert answer["message"] == (
        "no dialOut prefix of the card matches the number; "
        f"{DOUBT} cost up to 5 USD (prefix 4477009001)"
    )


# ── Why there is no price ────────────────────────────────────────────────────────────────────

BEFORE, BETWEEN, AFTER = (ANSWERED + days * timedelta(days=1) for days in (-90, 0, 90))


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (BEFORE, "the rate of prefix 81 begins at 2026-09-01T00:00:00Z"),
        (
            BETWEEN,
            "a hole between two periods: the rate of prefix 81 ended at 2026-11-01T00:00:00Z, and "
            "the rate of prefix 81 begins at 2026-12-01T00:00:00Z",
        ),
        (AFTER, "the rate of prefix 8 ended at 2027-01-15T00:00:00Z"),
    ],
)
def test_when_the_rates_of_a_number_are_in_force_is_said(at: datetime, why: str) -> None:
    rates = card(
        "dialOut,81,USD,0.1,2026-09-01T00:00:00Z,2026-11-01T00:00:00Z",
        "dialOut,81,USD,0.1,2026-12-01T00:00:00Z,2027-01-01T00:00:00Z",
        "dialOut,8,USD,0.1,2027-01-01T00:00:00Z,2027-01-15T00:00:00Z",
        "dialOut,44,USD,0.1,,",
        header=PERIODS,
    )
    assert said(rates, "+81312345678", at=at) == f"+81312345678: noRate: {why}"
    assert said(rates, "+33123456789", at=at) == (
        "+33123456789: noRate: no dialOut prefix of the card matches the number"
    )


@pytest.mark.parametrize(
    ("at", "when"),
    [
        (BEFORE, "the rate of prefix 44 begins at 2026-11-01T00:00:00Z"),
        (AFTER, "the rate of prefix 49 ended at 2026-12-01T00:00:00Z"),
    ],
)
def test_a_time_before_or_after_all_rates_is_said_whatever_the_number(
    at: datetime, when: str
) -> None:
    rates = card(
        "dialOut,44,USD,0.1,2026-11-01T00:00:00Z,2026-11-15T00:00:00Z",
        "dialOut,49,USD,0.1,2026-11-15T00:00:00Z,2026-12-01T00:00:00Z",
        "tollDialIn,1,USD,0.1,,",
        header=PERIODS,
    )
    assert said(rates, "+33123456789", at=at) == (
        "+33123456789: noRate: no dialOut prefix of the card matches the number, "
        f"and no dialOut rate is in force at that time: {when}"
    )


def test_a_card_without_any_rate_of_the_leg_type_says_which_it_has() -> None:
    rates = card("dialOut,44,GB,USD,0.1,,", "tollDialIn,1,US,USD,0.1,,")
    assert said(rates, "+18005550100", leg_type=LegType.TOLL_FREE_DIAL_IN) == (
        "+18005550100: noRate: the card has no tollFreeDialIn rates at all, only dialOut, "
        "tollDialIn"
    )


# ── Files of calls ───────────────────────────────────────────────────────────────────────────


def line(number: str = "+447700900500") -> str:
    call = {"legType": "dialOut", "number": number, "seconds": 60, "at": "2026-11-02T09:00:00Z"}
    return json.dumps(call)


def written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, *, as_json: bool = False
) -> tuple[int, str, str]:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(content)
    code = quote_calls(card(BASE, DEARER), path, currency=None, as_json=as_json)
    output = capsys.readouterr()
    return code, output.out.replace(str(path), "calls.jsonl"), output.err


def test_each_call_without_a_price_is_named_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line(), "", "# two", "[]", line("+33123456789"), line("+447700900600")]
    code, out, err = written(tmp_path, capsys, "\r\n".join(lines).encode())
    assert code == 1
    assert out.splitlines() == [
        f"+447700900500: {PRICED}",
        "calls.jsonl:4: invalid: must be a JSON object",
        "calls.jsonl:5: +33123456789: noRate: no dialOut prefix of the card matches the number",
        f"+447700900600: {PRICED}",
        "total 0.64 USD",
    ]
    assert err.endswith("calls.jsonl: 2 of 4 calls have no price\n")


def test_a_line_that_is_not_utf_8_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = written(tmp_path, capsys, line().encode() + b"\n{\xe4}\n")
    assert code == 1
    assert out.splitlines()[1] == "calls.jsonl:2: invalid: is not UTF-8; save the file as UTF-8"


def test_a_document_has_an_answer_for_each_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = f"{line()}\n{{\n{line('+33123456789')}\n".encode()
    code, out, _ = written(tmp_path, capsys, content, as_json=True)
    assert code == 1
    assert json.loads(out) == {
        "calls": [
            document(card(BASE, DEARER), "+447700900500"),
            {
                "error": "invalid",
                "line": 2,
                "message": "is not JSON: Expecting property name enclosed in double quotes "
                "at column 2",
            },
            document(card(BASE, DEARER), "+33123456789"),
        ],
        "total": "0.32",
        "currency": "USD",
        "totals": {"USD": "0.32"},
    }


def test_a_file_without_calls_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = written(tmp_path, capsys, b"# none\n", as_json=True)
    assert (code, err) == (0, f"perminute: {tmp_path / 'calls.jsonl'}: there is no call in it\n")
    assert json.loads(out) == {"calls": [], "total": "0", "currency": None, "totals": {}}


def test_a_byte_order_mark_is_no_part_of_the_first_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for first in (b"", b"# calls\n"):
        content = codecs.BOM_UTF8 + first + line().encode()
        code, out, _ = written(tmp_path, capsys, content)
        assert (code, out.splitlines()[-1]) == (0, "total 0.32 USD")


class Pipe(type(Path())):  # type: ignore[misc] # Python 3.11 cannot inherit from Path itself
    """A file whose lines come one by one, and which says when each is asked for."""

    def __init__(self, *_: object) -> None:
        self.written: Callable[[], str] = str

    def open(self, *_: Any, **__: Any) -> Any:
        return self

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def peek(self, _: int) -> bytes:
        return b"{"

    def __iter__(self) -> Iterator[bytes]:
        for answered in range(3):
            assert self.written().count(PRICED) == answered
            yield line().encode()


def test_calls_are_answered_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    """However many there are, only one of them is in memory."""
    pipe, seen = Pipe("calls.jsonl"), [""]

    def shown() -> str:
        seen[0] += capsys.readouterr().out
        return seen[0]

    pipe.written = shown
    assert quote_calls(card(BASE), pipe, currency=None, as_json=False) == 0
