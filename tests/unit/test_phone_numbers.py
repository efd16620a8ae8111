from __future__ import annotations

import pytest

from perminute.domain.reference.phone_numbers import check_e164, e164_or_withheld, masked


@pytest.mark.parametrize(
    "number", ["+14255550100", "+49151234****", "+123456789012345", "+6834321", "+683****"]
)
def test_e164_is_taken_even_with_a_masked_tail(number: str) -> None:
    assert check_e164(number) == number
    assert e164_or_withheld(number) == number


@pytest.mark.parametrize(
    "number",
    [
        "+12",
        "+683432",
        "+68****",
        "anonymous",
        "sip:anonymous@anonymous.invalid",
        "14255550199",
        "+04255550100",
        "+1234567890123456",
        "+1 425 555 0100",
        "+1425*550100",
        "+49151*****",
        "+****",
        "tel:+14255550100",
        "+١٢٣٤٥٦",
        "+14255550100\n",
        "",
    ],
)
def test_anything_else_is_refused_without_repeating_it(number: str) -> None:
    with pytest.raises(ValueError, match=r"must be an E\.164 number") as refusal:
        check_e164(number)
    assert not number or number not in str(refusal.value)
    assert e164_or_withheld(number) is None


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+493023125042", "+49302312****"),
        ("+49302312****", "+49302312****"),
        ("+4930231250**", "+49302312****"),
        ("+6834002", "+683****"),
        (None, None),
    ],
)
def test_of_a_number_that_is_masked_the_last_four_digits_are_not_seen(
    number: str | None, shown: str | None
) -> None:
    assert masked(number) == shown
