from __future__ import annotations

import pytest

from perminute.domain.reference.countries import check_card_country


@pytest.mark.parametrize("code", ["GB", "XK", "AA", "QM", "QZ", "XA", "XZ", "ZZ"])
def test_countries_and_what_iso_leaves_to_its_users_may_stand_in_a_card(code: str) -> None:
    assert check_card_country(code) == code


@pytest.mark.parametrize(
    ("code", "instead"),
    [
        ("UK", ": write GB"),
        ("uk", ": write GB"),
        ("EL", ": write GR"),
        ("AC", ": write SH"),
        ("gb", ": write GB"),
        ("QL", ""),
        ("AB", ""),
        ("EX", ""),
        ("xa", ""),
        ("GBR", ""),
        ("United Kingdom", ""),
    ],
)
def test_another_code_is_none_and_the_message_says_what_to_write(code: str, instead: str) -> None:
    expected = rf"^must be an ISO 3166-1 alpha-2 code such as DE, or empty{instead}$"
    with pytest.raises(ValueError, match=expected):
        check_card_country(code)
