"""Values on disk have the order that a list in memory would have."""

from __future__ import annotations

from operator import itemgetter

from hypothesis import given
from hypothesis import strategies as st

from perminute_local.replay.sorted_on_disk import SortedOnDisk

# In UTF-8, in UTF-16 and by code points they have different orders; one is half of a pair.
NAMES = st.text(st.sampled_from("\0aé\ud800\uffff😀"), max_size=3)


@given(st.lists(st.tuples(NAMES, NAMES, st.integers()), max_size=20))
def test_values_are_sorted_by_organization_and_key_and_else_as_they_were_added(
    rows: list[tuple[str, str, int]],
) -> None:
    stored = SortedOnDisk[int]()
    for organization_id, key, value in rows:
        stored.add(organization_id, key, value)
    expected = [value for _, _, value in sorted(rows, key=itemgetter(0, 1))]
    assert len(stored) == len(rows)
    assert list(stored) == list(stored) == expected
    for organization_id, key, _ in rows:
        own = [value for *name, value in rows if name == [organization_id, key]]
        assert list(stored.of(organization_id, key)) == own
    assert list(stored.of("no such organization", "")) == []
