"""By which ids logs and notifications name what is done, from an event to what subscribers hear.

What is done for an event goes by the event's id. What no event is behind, such as the daily run,
goes by the id of the run; a request to the charging API by the one that API Gateway gave it.

It is kept beside the arguments (`contextvars`): nothing is decided by it, and each function between
a handler and a transaction would have to pass it on.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from perminute.domain.credit.transaction import MAX_CORRELATION_ID, NO_CAUSES, Causes
from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CAUSES: ContextVar[Causes] = ContextVar("causes", default=NO_CAUSES)


@contextmanager
def caused_by(*event_ids: str, of_calls: Mapping[str, str] | None = None) -> Iterator[None]:
    """Name these events as the causes of what is posted meanwhile, the last one above all.

    `of_calls` names by call the event that reported it. Without any id the causes stay as they are.
    """
    named = tuple(dict.fromkeys(traceable(one) for one in event_ids if one))
    if not named:
        yield
        return
    calls = {call_id: traceable(one) for call_id, one in (of_calls or {}).items()}
    token = _CAUSES.set(Causes(named, calls))
    try:
        yield
    finally:
        _CAUSES.reset(token)


def causes() -> Causes:
    """Return for what something is posted now."""
    return _CAUSES.get()


def correlation_id() -> str:
    """Return the id by which what is done now is found; empty outside of a run."""
    return causes().last


def traceable(event_id: str) -> str:
    """Return an id as logs and notifications show it: one line, which has an end."""
    return one_line(event_id)[:MAX_CORRELATION_ID]
