"""Bugs in the erasure of users, each with the promise that it breaks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from perminute.adapters.memory import InMemoryContentKeys, InMemoryErasure, InMemoryUsageArchive
from perminute.adapters.memory.erasure import _Eraser
from perminute.application import results
from perminute.domain.rating.call_content import differing_content
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perminute.domain.reporting.postings import ListedUsage


@contextmanager
def listing_erased_calls_as_free() -> Iterator[None]:
    """Who makes a list anew without a user leaves out what the calls cost."""
    rename = _Eraser._renamed  # noqa: SLF001 - what becomes of a call in a list

    def free(eraser: _Eraser, usage: ListedUsage) -> ListedUsage:
        renamed = rename(eraser, usage)
        return renamed if renamed == usage else renamed._replace(charge_micros=0)

    with patch.object(_Eraser, "_renamed", free):
        yield


@contextmanager
def erasing_licenses_with_their_user() -> Iterator[None]:
    """Nothing stands under the pseudonym by which calls could be rated again."""
    with patch.object(InMemoryErasure, "copy_timeline", _nothing), _moved_anyway():
        yield


@contextmanager
def _moved_anyway() -> Iterator[None]:
    def forget(erasure: InMemoryErasure, organization_id: str, user_id: str, _: str) -> bool:
        erasure.store.facts.pop((organization_id, user_id), None)
        erasure.store.further_facts.pop((organization_id, user_id), None)
        return True

    with patch.object(InMemoryErasure, "move_timeline", forget):
        yield


@contextmanager
def keeping_what_events_say() -> Iterator[None]:
    """The contents of licensing events are left as they are."""
    with patch.object(_Eraser, "_empty_events", _nothing):
        yield


@contextmanager
def keeping_corrected_calls() -> Iterator[None]:
    """Lists are looked through, and revisions are not."""
    with patch.object(_Eraser, "_both_renamed", lambda _, both: both):
        yield


@contextmanager
def keeping_archived_calls() -> Iterator[None]:
    """What was archived before numbers were masked still names who called whom."""
    with patch.object(InMemoryUsageArchive, "erase", lambda *_, **__: 0):
        yield


@contextmanager
def keeping_the_key() -> Iterator[None]:
    """All users of an organization are erased, and their pseudonyms can be found by trying."""
    with patch.object(InMemoryContentKeys, "destroy", _nothing):
        yield


@contextmanager
def comparing_erased_calls() -> Iterator[None]:
    """A call that is delivered again is compared with what is left of it."""

    def compared(call: Any, recorded: Usage, key: bytes | None = None) -> tuple[str, ...]:
        return differing_content(call, recorded._replace(is_erased=False), key)

    with patch.object(results, "differing_content", compared):
        yield


@contextmanager
def replacing_erased_calls() -> Iterator[None]:
    """A `Call Ended` replaces a record that names nobody, as if its bridge had reported it."""

    def is_replaceable(usage: Usage) -> bool:
        return usage.reported_by_bridge or usage.is_erased

    with patch.object(Usage, "is_replaceable", property(is_replaceable)):
        yield


def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


ERASURE_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    listing_erased_calls_as_free: "erasing changes no money",
    erasing_licenses_with_their_user: "erasing changes no money",
    keeping_what_events_say: "nothing that is stored names who is erased",
    keeping_corrected_calls: "nothing that is stored names who is erased",
    keeping_archived_calls: "nothing that is stored names who is erased",
    keeping_the_key: "the key of an organization whose users are all erased is destroyed",
    comparing_erased_calls: "each event is taken or refused",
    replacing_erased_calls: "an erased call that is delivered again changes nothing",
}
