from __future__ import annotations

import pytest

from perminute_local.rates.digit_patterns import (
    COMPLETE,
    NONE,
    after_all,
    next_digits,
    numbers_like,
)


def test_states_say_how_numbers_go_on() -> None:
    numbers = numbers_like(r"90[1-35]\d?|8(?:0[08]|4{2}){1,2}")
    assert next_digits(numbers) == "89"
    assert next_digits(after_all(numbers, "90")) == "1235"
    assert next_digits(after_all(numbers, "8")) == "04"
    assert next_digits(after_all(numbers, "800")) == "04"
    assert after_all(numbers, "905") >= COMPLETE
    assert after_all(numbers, "84400") == COMPLETE
    assert after_all(numbers, "904") == after_all(numbers, "7") == NONE


def test_equal_rests_are_equal_however_they_were_reached() -> None:
    numbers = numbers_like(r"90[1-35]\d{6}|800\d{6}")
    assert after_all(numbers, "901") == after_all(numbers, "905") == after_all(numbers, "800")
    assert after_all(numbers, "90") != after_all(numbers, "80")


@pytest.mark.parametrize("pattern", [r"9(?!0)\d+", r"9\d*", "9.", "(9)"])
def test_a_pattern_that_cannot_be_read_as_digits_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="has something that cannot be read as digits"):
        numbers_like(pattern)
