"""Masking an organization's numbers: whatever interrupts it, it goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from builders import ORGANIZATION, WITHOUT_WAITING
from masking import KEPT, LATER, MaskedWorld
from stores import twins

from perminute.adapters.memory import SentWork, privacy
from perminute.application import mask_numbers
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.mask_numbers import MaskedNumbers, MaskNumbers, rest_of
from perminute.application.results import Accepted
from perminute.application.retry import Deadline
from perminute.domain.errors import Contended, Throttled, Unavailable
from perminute.ports.messaging import RunOrganization

if TYPE_CHECKING:
    from perminute.domain.rating.usage_record import Usage

CALLS = ("a", "b", "c", "d", "e")
WORK = RunOrganization(LATER, ORGANIZATION)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> MaskedWorld:
    monkeypatch.setattr(privacy, "PAGE", 2)
    world = MaskedWorld(twins(), ORGANIZATION)
    for call_id in CALLS:
        world.charged(call_id)
    return world


def masked(world: MaskedWorld) -> list[str]:
    return [one for one in CALLS if world.usage(one).content_digest is not None]


def until(calls: int) -> Deadline:
    """A deadline that has passed when the clock is asked so often."""
    return Deadline(at=calls, clock=partial(next, count(1)))


def test_what_does_not_fit_an_invocation_is_a_further_message(world: MaskedWorld) -> None:
    queue = SentWork()
    run = DailyRun(ListOrganizations(world.stores.credit, queue), world.mask_numbers, rest_of)
    # The clock is asked before the message, after some calls and after each page.
    done = run([WORK], until(3))
    assert done.results == [Accepted(WORK)]
    assert done.reports == [MaskedNumbers(ORGANIZATION, masked=2, goes_on=True, after="b")]
    rest = WORK._replace(after="b")
    assert queue.sent == [rest]
    assert masked(world) == ["a", "b"]
    done = run([rest], until(100))
    assert done.reports == [MaskedNumbers(ORGANIZATION, masked=3, after="e")]
    assert queue.sent == [rest]
    assert masked(world) == list(CALLS)
    world.check()


def test_a_page_that_takes_too_long_is_gone_on_with(
    world: MaskedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_numbers, "CALLS_AT_ONCE", 1)
    done = world.mask_numbers(WORK, until(1))
    assert done == MaskedNumbers(ORGANIZATION, masked=1, goes_on=True)
    assert masked(world) == ["a"]
    assert world.mask().masked == 4


def test_the_key_is_read_once_and_only_if_a_number_is_masked(
    world: MaskedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_numbers, "CALLS_AT_ONCE", 1)
    keys = Mock(wraps=world.stores.keys)
    masking = replace(world.mask_numbers, keys=keys)
    assert masking(WORK).masked == 5
    keys.get_or_make.assert_called_once_with(ORGANIZATION)
    keys.reset_mock()
    assert masking(WORK).masked == 0
    assert keys.mock_calls == []


def test_a_store_that_fails_is_tried_again_and_loses_nothing(world: MaskedWorld) -> None:
    real, failures = world.stores.content.replace, iter([Contended(), Throttled("full")])

    class Failing:
        pages = staticmethod(world.stores.content.pages)

        def replace(self, before: Usage, after: Usage) -> bool:
            if (error := next(failures, None)) is not None:
                raise error
            return real(before, after)

    masking = replace(world.mask_numbers, content=Failing())
    assert masking(WORK).masked == 5
    failures = iter([Unavailable("no answer")])
    world.charged("f")
    done = masking(WORK)
    assert (done.masked, str(done.failed)) == (0, "no answer")
    assert masking(WORK).masked == 1


def test_numbers_that_are_kept_for_ever_are_not_masked(world: MaskedWorld) -> None:
    never = MaskNumbers(world.stores.content, world.stores.keys, WITHOUT_WAITING, None)
    assert never(WORK) == MaskedNumbers(ORGANIZATION)
    assert masked(world) == []
    assert world.stores.keys.find(ORGANIZATION) is None


def test_a_call_that_was_corrected_meanwhile_is_counted_and_left(world: MaskedWorld) -> None:
    class Changed:
        pages = staticmethod(world.stores.content.pages)

        def replace(self, before: Usage, after: Usage) -> bool:
            return before.call.call_id != "b" and world.stores.content.replace(before, after)

    done = replace(world.mask_numbers, content=Changed())(WORK)
    assert (done.masked, done.changed) == (4, 1)


def test_a_number_is_kept_for_as_long_as_it_says(world: MaskedWorld) -> None:
    ended_at = world.usage("a").call.ended_at
    assert world.mask(ended_at + KEPT).masked == 0
    assert world.mask(ended_at + KEPT + timedelta(microseconds=1)).masked == len(CALLS)


# ── Archived before ──────────────────────────────────────────────────────────────────────────


def archived(world: MaskedWorld) -> list[Usage]:
    return world.archive.calls(ORGANIZATION)


def test_calls_are_archived_as_they_were_before_they_were_masked(world: MaskedWorld) -> None:
    before = [world.usage(one) for one in CALLS]
    assert world.mask().masked == 5
    assert archived(world) == before
    assert world.mask().masked == 0
    assert archived(world) == before


def test_what_cannot_be_archived_is_not_masked(
    world: MaskedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_numbers, "CALLS_AT_ONCE", 1)
    keep, failures = world.archive.keep, iter([False, True])

    def sometimes(*what: Any) -> None:
        if next(failures, False):
            raise Unavailable("s3://archive/… cannot be written")
        keep(*what)

    monkeypatch.setattr(world.archive, "keep", sometimes)
    done = world.mask()
    assert (done.masked, str(done.failed)) == (1, "s3://archive/… cannot be written")
    assert masked(world) == ["a"]
    assert world.mask().masked == 4
    assert [usage.call.call_id for usage in archived(world)] == list(CALLS)


def test_a_call_that_changed_after_it_was_archived_is_archived_again(world: MaskedWorld) -> None:
    before = world.usage("b")
    changed = before._replace(notifications_held=True)
    real = world.stores.content

    class Changed:
        pages = staticmethod(real.pages)

        def replace(self, usage: Usage, after: Usage) -> bool:
            return usage.call.call_id != "b" and real.replace(usage, after)

    replace(world.mask_numbers, content=Changed())(WORK)
    world.stores.content.store.usages[ORGANIZATION, "b"] = changed  # type: ignore[attr-defined] # the twin's
    assert world.mask().masked == 1
    assert [usage for usage in archived(world) if usage.call.call_id == "b"] == [before, changed]


def test_without_an_archive_numbers_are_masked_all_the_same(world: MaskedWorld) -> None:
    assert replace(world.mask_numbers, archive=None)(WORK).masked == 5
    assert archived(world) == []
