"""Pages of the ledger together are its entries as they were, each once and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

from builders import ORGANIZATION
from histories import another_posting, histories, periods
from hypothesis import given
from hypothesis import strategies as st

from perminute.application.reporting import ledger
from perminute.application.reporting.ledger import BookedEntry, LedgerQuestion, ledger_page
from perminute.application.retry import NEVER
from perminute.domain.credit.ledger import EntryType

if TYPE_CHECKING:
    from histories import History

    from perminute.domain.reporting.periods import Period


@given(histories(), periods(), st.sampled_from([None, *EntryType]), st.data())
def test_they_are_whatever_is_booked_between_them(
    history: History, period: Period, entry_type: EntryType | None, data: st.DataObject
) -> None:
    question = LedgerQuestion(ORGANIZATION, len(history.ledger), period, entry_type)
    limit, most_read = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 9))
    wanted = [entry for entry in history.ledger if question.includes(entry)]
    wanted.sort(key=lambda entry: (entry.at.date(), entry.entry_id), reverse=True)
    place, read = None, list[BookedEntry]()
    for _ in range(100):
        with patch.object(ledger, "MAX_CALLS_READ", most_read):
            page = ledger_page(history, question, limit=limit, after=place, deadline=NEVER)
        assert len(page.entries) <= limit
        read += page.entries
        place = page.next
        if place is None:
            break
        if data.draw(st.booleans()):
            data.draw(another_posting(history))
    assert place is None
    assert [booked.entry for booked in read] == wanted
    for entry, call_ids in read:
        assert set(call_ids) == moved_by(history, entry.entry_id)


def moved_by(history: History, entry_id: str) -> set[str]:
    charged = {
        usage.call_id
        for usage_list in history.lists
        if usage_list.posting.entry_id == entry_id
        for usage in usage_list.usages
        if usage.charge_micros
    }
    corrected = {
        after.call_id
        for revision in history.revised
        if revision.posting.entry_id == entry_id
        for before, after in revision.usages
        if before.charge_micros != after.charge_micros
    }
    return corrected or charged
