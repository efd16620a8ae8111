"""Whatever has happened, an erasure changes no total, neither then nor by what comes later."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, ORGANIZATION, ORGANIZER, fact
from erasing import OTHER, ErasedWorld
from hypothesis import event, given, settings
from hypothesis import strategies as st
from masking import LATER
from reports import reader_of
from stores import twins

from perminute.adapters.memory import InMemoryPostings, InMemoryStore
from perminute.application.reporting.explain_call import explain_call
from perminute.application.reporting.statement import StatementQuestion, read_statement
from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import NEVER
from perminute.domain.pools.pools import Month
from perminute.domain.reporting.statement import Basis

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.rating.calls import Call

NUMBERS = ("+493023125042", "+442079460100", "+33123456789", "+881612345678")
MONTHS = (Month(2026, 10), Month(2026, 11))
calls = st.tuples(
    st.just("call"),
    st.sampled_from([ORGANIZER, OTHER]),
    st.sampled_from(NUMBERS),
    st.integers(-3, 3),  # days from the first of the month
    st.sampled_from([1, 60, 61, 600]),
)
programs = st.tuples(st.just("program"), st.sampled_from(["other", "volume"]), st.integers(-4, 4))
masking = st.tuples(st.just("mask"))
MONTH_BEGINS = ANSWERED.replace(day=1, hour=0)


@dataclass
class History:
    """An organization in memory, to which one thing after the other happens."""

    twin: InMemoryStore = field(default_factory=InMemoryStore)
    sent: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = ErasedWorld(twins(self.twin), ORGANIZATION)

    def go_on(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("call", user, number, days, seconds):
                self._call(user, number, MONTH_BEGINS + timedelta(days=days), seconds)
            case ("program", value, days):
                since = MONTH_BEGINS + timedelta(days=days)
                number = len(self.twin.processed_events)
                issued_at = LATER + timedelta(seconds=number)
                stated = replace(fact("licensingProgram", value, since=since), issued_at=issued_at)
                self.world.state(stated, name=f"program-{number}")
            case _:
                self.world.mask()

    def _call(self, user: str, number: str, answered_at: datetime, seconds: int) -> None:
        call = self.world.call(
            f"step-{len(self.sent)}",
            organizer_id=user,
            remote_number=number,
            answered_at=answered_at,
            ended_at=answered_at + timedelta(seconds=seconds),
        )
        self.sent.append(call)
        assert isinstance(self.world.deliver(call), Accepted)

    def totals(self) -> list[object]:
        """All that is said of money, by reconciliation, statements and explanations."""
        money, usages = self.world.money(), self.twin.usages_of(ORGANIZATION)
        stated = [self._stated(month, basis) for month in MONTHS for basis in Basis]
        return [money, stated, [self._explained(usage.call.call_id) for usage in usages]]

    def _stated(self, month: Month, basis: Basis) -> object:
        question = StatementQuestion(ORGANIZATION, month, basis, with_details=True)
        _, statement = read_statement(InMemoryPostings(self.twin), question, NEVER)
        # Rows are sorted by what is now a pseudonym.
        by_key = {
            key: sorted(repr(row.sums) for row in rows)
            for key, rows in statement.broken_down.items()
        }
        return replace(statement, broken_down={}, changed={}), by_key, [*statement.changed]

    def _explained(self, call_id: str) -> object:
        explanation = explain_call(reader_of(self.twin), ORGANIZATION, call_id, NEVER).explanation
        assert explanation.differences == ()
        usage = explanation.usage
        what = usage.outcome, usage.reason, usage.price, usage.charge_micros, usage.flags
        moved = [
            (one[:5], one.before and one.before._replace(organizer_id=""))
            for one in explanation.movements
        ]
        return what, explanation.licenses, moved


@given(st.lists(calls | programs | masking, max_size=8), st.lists(programs | masking, max_size=4))
@settings(max_examples=20)
@pytest.mark.parametrize("user", [ORGANIZER, None])
def test_an_erasure_changes_no_total(
    user: str | None, before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    erased, other = History(), History()
    for history in (erased, other):
        for step in before:
            history.go_on(step)
        history.world.without_licenses()
    totals = erased.totals()
    done = erased.world.erase(user)
    event(f"{done.calls} calls")
    assert erased.totals() == totals == other.totals()
    for step in after:
        for history in (erased, other):
            history.go_on(step)
        assert erased.totals() == other.totals()
    for call in erased.sent:
        assert erased.world.deliver(call) == Duplicate()
    assert erased.totals() == other.totals()
