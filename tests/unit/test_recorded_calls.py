"""At which instant corrections are booked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import ANSWERED, ORGANIZATION, WITHOUT_WAITING, holding

from perminute.adapters.memory import InMemoryStore
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.retry import NEVER

AHEAD = ANSWERED + timedelta(days=20)


@pytest.mark.parametrize(
    ("as_of", "is_now", "at"),
    [
        (ANSWERED, False, ANSWERED),
        (None, False, AHEAD),
        (ANSWERED, True, AHEAD),
        (AHEAD + timedelta(days=1), True, AHEAD + timedelta(days=1)),
    ],
)
def test_a_month_that_lies_ahead_does_not_advance_the_time_of_an_account(
    as_of: datetime | None, *, is_now: bool, at: datetime
) -> None:
    """A clock that is ahead has brought a call of it, which expires no credit before its time."""
    store, seen = InMemoryStore(), list[datetime]()
    store.accounts[ORGANIZATION] = holding(as_of=as_of)
    unused: Any = None
    again = RecordedCalls(store, unused, unused, unused, WITHOUT_WAITING)

    def nothing(_: object, at: datetime) -> None:
        seen.append(at)

    again.commit(ORGANIZATION, AHEAD, NEVER, nothing, is_now=is_now)
    assert seen == [at]
    assert store.accounts[ORGANIZATION].as_of == as_of
