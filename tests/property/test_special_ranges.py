"""No ordinary number is blocked, and every special one is known: by libphonenumber's own patterns.

Numbers are made from the patterns by hypothesis, and not by the code under test.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberType

from perminute_local.rates.digit_patterns import COMPLETE, after_all, numbers_like
from perminute_local.rates.special_ranges import Kind, is_ordinary, special_ranges

ORDINARY = ("fixed_line", "mobile", "voip")
SPECIAL = {
    "premium_rate": Kind.PREMIUM,
    "shared_cost": Kind.SHARED_COST,
    "toll_free": Kind.TOLL_FREE,
    "personal_number": Kind.PERSONAL,
    "uan": Kind.UNIVERSAL_ACCESS,
    "pager": Kind.PAGER,
}


class Pattern(NamedTuple):
    code: int
    region: str
    field: str
    text: str

    def numbers(self) -> st.SearchStrategy[str]:
        return st.from_regex(re.compile(self.text, re.ASCII), fullmatch=True)


def patterns(*fields: str) -> list[Pattern]:
    found = []
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            for field in fields:
                description = getattr(metadata, field)
                if description is not None and description.national_number_pattern:
                    text = description.national_number_pattern
                    found.append(Pattern(code, region, field, text))
    return found


ORDINARY_PATTERNS, SPECIAL_PATTERNS = patterns(*ORDINARY), patterns(*SPECIAL)
EXACT = {found.prefix for found in special_ranges() if found.exact}
BY_KIND = {
    kind: {found.prefix for found in special_ranges() if found.kind is kind} for kind in Kind
}


def prefixes_of(number: str) -> set[str]:
    return {number[:length] for length in range(1, len(number) + 1)}


@given(data=st.data())
def test_no_ordinary_number_begins_with_an_exact_range(data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(ORDINARY_PATTERNS))
    number = f"{pattern.code}{data.draw(pattern.numbers())}"
    assert not prefixes_of(number) & EXACT
    assert all(is_ordinary(prefix) for prefix in prefixes_of(number))


@given(data=st.data())
def test_every_special_number_begins_with_a_range_of_its_kind(data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(SPECIAL_PATTERNS))
    number = f"{pattern.code}{data.draw(pattern.numbers())}"
    assert prefixes_of(number) & BY_KIND[SPECIAL[pattern.field]]


@given(data=st.data())
def test_states_accept_what_the_pattern_matches(data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(ORDINARY_PATTERNS + SPECIAL_PATTERNS))
    number = data.draw(pattern.numbers() | st.text("0123456789", max_size=12))
    matches = re.fullmatch(pattern.text, number) is not None
    assert (after_all(numbers_like(pattern.text), number) >= COMPLETE) is matches


@pytest.mark.parametrize("number_type", ["FIXED_LINE", "MOBILE", "VOIP"])
def test_no_region_has_its_ordinary_example_in_an_exact_range(number_type: str) -> None:
    kind = getattr(PhoneNumberType, number_type)
    examples = {
        region: phonenumbers.example_number_for_type(region, kind)
        for region in phonenumbers.SUPPORTED_REGIONS
    }
    numbers = {
        region: f"{example.country_code}{phonenumbers.national_significant_number(example)}"
        for region, example in examples.items()
        if example is not None
    }
    assert len(numbers) > 90
    assert {r: n for r, n in numbers.items() if prefixes_of(n) & EXACT} == {}
