"""What a bridge that has restarted is told of its calls: states by the time, pages that go on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, ORGANIZATION, phone_call

from perminute.adapters.memory import InMemoryStore
from perminute.application.look_up_calls import LookUpCalls
from perminute.domain.authorization.reservations import (
    Answer,
    CallState,
    ChargingRequest,
    Decision,
    Operation,
    Reservation,
    state_of,
)
from perminute.domain.credit.transaction import Authorized
from perminute.domain.errors import NotFound
from perminute.ports.stores import CallPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def call(call_id: str = "call-1", sequence: int = 0) -> Reservation:
    """A call that was granted five minutes, which lapse after twelve."""
    at = ANSWERED + sequence * SECOND
    return Reservation(
        call=phone_call(call_id=call_id, answered_at=at, ended_at=at),
        last_request=ChargingRequest(Operation.AUTHORIZE, 0),
        answer=Answer(
            sequence=0,
            decision=Decision.ALLOW,
            granted_seconds=300,
            valid_until=at + 6 * MINUTE,
        ),
    )


def test_a_call_is_under_way_until_its_grant_lapses() -> None:
    authorized = call()
    lapses_at = ANSWERED + 12 * MINUTE
    assert state_of(authorized, lapses_at - SECOND) == CallState.UNDER_WAY
    assert state_of(authorized, lapses_at) == CallState.LAPSED
    updated = replace(
        authorized,
        last_request=ChargingRequest(Operation.UPDATE, 1),
        answer=authorized.answer._replace(valid_until=ANSWERED + 11 * MINUTE),
        reported_at=ANSWERED + 5 * MINUTE,
    )
    lapses_at = ANSWERED + 17 * MINUTE
    assert state_of(updated, lapses_at - SECOND) == CallState.UNDER_WAY
    assert state_of(updated, lapses_at) == CallState.LAPSED


def test_whether_it_was_denied_or_released_does_not_depend_on_the_time() -> None:
    denied = replace(call(), answer=Answer(sequence=1, decision=Decision.DENY))
    released = replace(
        call(),
        last_request=ChargingRequest(Operation.RELEASE, 2),
        answer=Answer(sequence=2, decision=Decision.ALLOW),
    )
    for at in (ANSWERED, ANSWERED + timedelta(days=9)):
        assert state_of(denied, at) == CallState.DENIED
        assert state_of(released, at) == CallState.RELEASED


@dataclass
class Lagging(InMemoryStore):
    """A store whose index still names calls that were released, or were never heard of."""

    stale: list[CallPlace] = field(default_factory=list)

    def calls_by_start(
        self, organization_id: str, *, limit: int, after: CallPlace | None = None
    ) -> Iterator[CallPlace]:
        found = super().calls_by_start(organization_id, limit=limit, after=after)
        stale = (one for one in self.stale if after is None or one > after)
        return iter(sorted({*found, *stale})[:limit])


def pages_of(store: InMemoryStore, limit: int) -> Iterator[list[Reservation]]:
    """Ask for one page after the other, until there is none any more."""
    page = LookUpCalls(store).page(ORGANIZATION, limit=limit)
    yield list(page.calls)
    while page.next is not None:
        page = LookUpCalls(store).page(ORGANIZATION, limit=limit, after=page.next)
        yield list(page.calls)


def test_a_page_leaves_out_what_the_index_has_not_heard_of() -> None:
    store = Lagging(stale=[CallPlace(ANSWERED, "forgotten"), CallPlace(ANSWERED, "released")])
    first, last = call("first"), call("last", sequence=1)
    released = call("released")
    for one in (first, last, released):
        store.store(Authorized(one, None))
    store.store(
        Authorized(replace(released, last_request=ChargingRequest(Operation.RELEASE, 1)), released)
    )
    assert list(pages_of(store, limit=1)) == [[first], [], [], [last]]


@pytest.mark.parametrize(("limit", "pages"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (4, [3])])
def test_the_last_page_says_that_it_is_the_last(limit: int, pages: list[int]) -> None:
    store = InMemoryStore()
    calls = [call(f"call-{number}", sequence=number) for number in range(3)]
    for one in calls:
        store.store(Authorized(one, None))
    found = list(pages_of(store, limit))
    assert [one for page in found for one in page] == calls
    assert [len(page) for page in found] == pages


def test_a_call_that_nobody_has_asked_for_is_not_found() -> None:
    with pytest.raises(NotFound, match="callId: is not known"):
        LookUpCalls(InMemoryStore()).call(ORGANIZATION, "call-1")
