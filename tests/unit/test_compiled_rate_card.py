from __future__ import annotations

from datetime import UTC, datetime

import pytest

from perminute.domain.errors import Unavailable
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Quote
from perminute.formats.compiled_rate_card import compile_rate_card, read_compiled_rate_card
from perminute.formats.rate_card_csv import read_rate_card

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
CARD = b"""\
leg_type,prefix,country,description,currency,rate_per_minute,from_second,effective_from,blocked
tollFreeDialIn,1800,US,,USD,0.022,,,
dialOut,49,DE,Germany,EUR,0.01,,,
dialOut,4930,DE,Germany,EUR,0.01,,,
dialOut,4930,DE,Germany,EUR,0.02,120,,
dialOut,4940,DE,Germany,EUR,0.01,,,
dialOut,882,,,USD,,,2026-11-01T00:00:00Z,true
"""
COMPILED = b"""\
perminute rate card 1
2
dialOut\t+49 +4930 +4940 +882\t0 1 0 2
tollFreeDialIn\t+1800\t3
[["DE","Germany","EUR",0,60,[[0,10000,60]],null,null,false]]
[["DE","Germany","EUR",0,60,[[0,10000,60],[120,20000,60]],null,null,false]]
[[null,"","USD",0,60,[[0,0,60]],"2026-11-01T00:00:00Z",null,true]]
[["US","","USD",0,60,[[0,22000,60]],null,null,false]]"""


def test_the_format_is_this_one() -> None:
    """Functions of one release read what another one has published: see `FORMAT`."""
    assert compile_rate_card(read_rate_card(CARD).rates) == COMPILED
    assert set(read_compiled_rate_card(COMPILED).rates) == set(read_rate_card(CARD).rates)


def test_a_rate_is_read_when_a_number_first_has_its_prefix() -> None:
    card = read_compiled_rate_card(COMPILED.replace(b"null,true", b'null,"?",9'))
    quote = card.quote(LegType.DIAL_OUT, "+493012345678", 60, AT)
    assert isinstance(quote, Quote)
    again = card.quote(LegType.DIAL_OUT, "+493012345678", 60, AT)
    assert isinstance(again, Quote)
    assert again.rate is quote.rate
    with pytest.raises(Unavailable, match=r"compiled rate of dialOut \+882 cannot be read"):
        card.quote(LegType.DIAL_OUT, "+882123", 60, AT)


@pytest.mark.parametrize("number", [b"1.5", b"1e3", b"NaN"])
def test_a_price_is_a_whole_number_of_micro_units(number: bytes) -> None:
    card = read_compiled_rate_card(COMPILED.replace(b"22000", number))
    with pytest.raises(Unavailable, match="is not a whole number"):
        card.quote(LegType.TOLL_FREE_DIAL_IN, "+18005550100", 60, AT)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (COMPILED, b"", "begins with '', and not with 'perminute rate card 1'"),
        (COMPILED, b"perminute rate card 1", "invalid literal"),
        (b"card 1", b"card 2", "begins with 'perminute rate card 2', and not"),
        (b"\t0 1 0 2", b"", "not enough values"),
        (b"\n2\n", b"\n\n", "invalid literal"),
        (b"dialOut", b"dialUp", "'dialUp' is not a valid LegType"),
        (b"Germany", "Österreich".encode(), "can't decode"),
        (b"0 1 0 2", b"0 1 0", "shorter than argument 1"),
        (b"0 1 0 2", b"0 1 0 4", "dialOut names a line of rates that is not there"),
        (b"+4940", b"+4930", "dialOut has a prefix twice"),
    ],
)
def test_what_is_no_compiled_card_is_refused(old: bytes, new: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_compiled_rate_card(COMPILED.replace(old, new))
