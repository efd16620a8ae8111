from __future__ import annotations

from datetime import UTC, datetime

import pytest
from builders import ANSWERED, card

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import NoQuote, Quote, RateCard, Unpriced

STEPS = (
    "leg_type,prefix,currency,rate_per_minute,connection_fee,"
    "initial_increment_seconds,increment_seconds,from_second"
)
PERIODS = "leg_type,prefix,currency,rate_per_minute,effective_from,effective_to"


def priced(rates: RateCard, number: str, seconds: int = 60, at: datetime = ANSWERED) -> int | str:
    match rates.quote(LegType.DIAL_OUT, number, seconds, at):
        case Quote(charge_micros=charge):
            return charge
        case NoQuote(reason=reason):
            return reason.value


def test_the_longest_prefix_wins() -> None:
    rates = card("dialOut,4,,USD,0.1,,", "dialOut,49,,USD,0.2,,", "dialOut,4930,,USD,0.3,,")
    assert [priced(rates, n) for n in ("+4930123", "+4931123", "+4412345")] == [
        300_000,
        200_000,
        100_000,
    ]


def test_a_leg_type_has_rates_of_its_own() -> None:
    rates = card("tollDialIn,49,,USD,0.1,,")
    assert priced(rates, "+4930123") == "noRate"


def test_a_blocked_prefix_hides_every_shorter_one() -> None:
    assert priced(card(), "+449098790100") == "blockedNumber"
    assert priced(card(), "+442079460100") == 15_000


def test_no_rate_is_never_guessed() -> None:
    assert card().quote(LegType.DIAL_OUT, "+881612345678", 60, ANSWERED) == NoQuote(
        Unpriced.NO_RATE, None
    )


def test_a_masked_number_is_rated_by_the_digits_that_are_left() -> None:
    rates = card("dialOut,49,,USD,0.1,,", "dialOut,4930231,,USD,0.2,,")
    assert priced(rates, "+493023****") == 100_000
    assert priced(rates, "+49302312****") == 200_000


def test_of_two_periods_the_one_that_holds_the_answer_counts_and_its_end_is_open() -> None:
    rates = card(
        "dialOut,49,USD,0.1,,2026-11-02T09:00:00Z",
        "dialOut,49,USD,0.2,2026-11-02T09:00:00Z,",
        header=PERIODS,
    )
    before = datetime(2026, 11, 2, 8, 59, 59, 999_999, tzinfo=UTC)
    assert (priced(rates, "+4930", at=before), priced(rates, "+4930")) == (100_000, 200_000)


def test_a_longer_prefix_out_of_force_leaves_the_shorter_one() -> None:
    rates = card(
        "dialOut,49,USD,0.1,,",
        "dialOut,4930,USD,0.2,2027-01-01T00:00:00Z,",
        header=PERIODS,
    )
    assert priced(rates, "+4930123") == 100_000


@pytest.mark.parametrize(
    ("seconds", "billed", "charge"),
    [(0, 0, 0), (1, 60, 110_000), (60, 60, 110_000), (61, 66, 120_000), (67, 72, 130_000)],
)
def test_the_first_block_then_each_further_block_is_billed_in_full_once_started(
    seconds: int, billed: int, charge: int
) -> None:
    rates = card("dialOut,49,USD,0.1,0.01,60,6,0", header=STEPS)
    quote = rates.quote(LegType.DIAL_OUT, "+4930", seconds, ANSWERED)
    assert isinstance(quote, Quote)
    assert (quote.billed_seconds, quote.charge_micros) == (billed, charge)


@pytest.mark.parametrize(
    ("seconds", "billed", "charge"),
    [
        (600, 600, 1_000_000),
        (601, 601, 1_001_000),
        (660, 660, 1_060_000),
        (1_201, 1_230, 1_600_000 + 0),
    ],
)
def test_later_steps_hold_from_their_second_on_with_their_own_increment(
    seconds: int, billed: int, charge: int
) -> None:
    rates = card(
        "dialOut,49,USD,0.1,,60,60,0",
        "dialOut,49,USD,0.06,,60,1,600",
        "dialOut,49,USD,0,,60,30,1200",
        header=STEPS,
    )
    quote = rates.quote(LegType.DIAL_OUT, "+4930", seconds, ANSWERED)
    assert isinstance(quote, Quote)
    assert (quote.billed_seconds, quote.charge_micros) == (billed, charge)


def test_a_block_across_a_step_is_billed_in_full_each_second_at_its_own_rate() -> None:
    rates = card("dialOut,49,USD,0.1,,60,60,0", "dialOut,49,USD,0.04,,60,60,90", header=STEPS)
    quote = rates.quote(LegType.DIAL_OUT, "+4930", 61, ANSWERED)
    assert isinstance(quote, Quote)
    assert (quote.billed_seconds, quote.charge_micros) == (120, 150_000 + 20_000)


def test_an_hour_at_two_cents_is_exact() -> None:
    rates = card("dialOut,49,USD,0.02,,1,1,0", header=STEPS)
    assert priced(rates, "+4930", 3_600) == 1_200_000


def test_a_charge_is_rounded_once_half_up() -> None:
    rates = card("dialOut,49,USD,0.00003,,1,1,0", "dialOut,49,USD,0.00003,,1,1,1", header=STEPS)
    # 30 micro-units a minute are half a micro-unit a second: rounded at each step, 2 s would be 2.
    assert [priced(rates, "+4930", seconds) for seconds in (1, 2, 3)] == [1, 1, 2]
