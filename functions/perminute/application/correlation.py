"""The ids of events, daily runs and API requests, by which logs and notifications are found.

They are stored beside the arguments (`contextvars`): nothing is decided by them, and each function
between a handler and a transaction would have to pass them on.
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
    """Name these events as the causes of what is committed meanwhile, the last one above all."""
    # Without any id the causes stay as they are. `of_calls` names by call the event that reported
    # it.
    named = tuple(dict.fromkeys(traceable(event_id) for event_id in event_ids if event_id))
    if not named:
        yield
        return
    calls = {call_id: traceable(event_id) for call_id, event_id in (of_calls or {}).items()}
    token = _CAUSES.set(Causes(named, calls))
    try:
        yield
    finally:
        _CAUSES.reset(token)


def causes() -> Causes:
    """Return the causes of what is committed now."""
    return _CAUSES.get()


def correlation_id() -> str:
    """Return the id of what is done now; empty outside of a run."""
    return causes().last


def traceable(event_id: str) -> str:
    """Return an id as logs and notifications show it: one line of limited length."""
    return one_line(event_id)[:MAX_CORRELATION_ID]
