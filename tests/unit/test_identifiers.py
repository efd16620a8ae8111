from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.values.identifiers import PATTERN, canonical_id, check_spaces, read_id

GUID = "9F4FE8EA-7E6E-486E-B8F4-8B3B2F6A5D21"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (GUID, GUID.lower()),
        (GUID.lower(), GUID.lower()),
        ("Adele@Contoso.com", "adele@contoso.com"),
        ("Åsa@Contoso.com", "åsa@contoso.com"),
        ("PO-4711", "PO-4711"),
        (f"{{{GUID}}}", f"{{{GUID}}}"),
        (GUID.replace("-", ""), GUID.replace("-", "")),
        (f"{GUID}-2", f"{GUID}-2"),
        ("Weekly 0211", "Weekly 0211"),
    ],
)
def test_guids_and_ids_with_an_at_sign_are_stored_in_lower_case_and_no_others(
    sent: str, stored: str
) -> None:
    assert read_id(sent) == canonical_id(sent) == stored


@pytest.mark.parametrize("sent", [" adele", "adele ", "adele\n", "\tadele", "adele\u00a0", " "])
def test_surrounding_spaces_are_refused_in_words(sent: str) -> None:
    for read in (read_id, check_spaces):
        with pytest.raises(ValueError, match=r"^must not begin or end with a space$"):
            read(sent)


@given(st.text(min_size=1, max_size=6))
@example("a\n").via("`$` in Python stands before a last line's end as well")
@example("a\ufeff").via("a byte order mark is a space in other dialects only")
@example("a\x1f").via("a separator is a space in Python only")
def test_the_published_patterns_refuse_exactly_these_spaces(sent: str) -> None:
    is_bare = sent == sent.strip()
    assert (re.search(PATTERN, sent) is not None) is is_bare
    assert (re.fullmatch(PATTERN, sent) is not None) is is_bare


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_ID_LENGTH))
@example("İ@" * 125)
def test_what_is_sent_in_the_allowed_length_fits_a_key_in_lower_case(sent: str) -> None:
    assert len(canonical_id(sent).encode()) <= 4 * MAX_ID_LENGTH
    assert canonical_id(canonical_id(sent)) == canonical_id(sent)
