"""Bugs in the masking of phone numbers, each with the promise that it breaks."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

from perminute.adapters.memory import InMemoryStore, InMemoryUsageArchive
from perminute.application import mask_numbers
from perminute.application.mask_numbers import MaskedNumbers, MaskNumbers
from perminute.domain.rating import call_content
from perminute.domain.rating.call_content import digest_of, has_number, without_number
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager


@contextmanager
def masking_calls_as_charged_first() -> Iterator[None]:
    """A call that was rated again is masked as it was before that."""
    write = InMemoryStore.replace_content

    def outdated(store: InMemoryStore, before: Usage, after: Usage) -> bool:
        key = before.call.organization_id, before.call.call_id
        written = write(store, before, after)
        known = store.usages[key]
        adjusted_micros = sum(adjusted.amount_micros for adjusted in known.adjustments)
        store.usages[key] = known._replace(
            charge_micros=known.charge_micros - adjusted_micros, adjustments=()
        )
        return written

    with patch.object(InMemoryStore, "replace_content", outdated):
        yield


@contextmanager
def masking_calls_out_only() -> Iterator[None]:
    """The number that called in is kept."""

    def has_destination(usage: Usage) -> bool:
        return usage.call.leg_type is LegType.DIAL_OUT and has_number(usage)

    with patch.object(mask_numbers, "has_number", has_destination):
        yield


@contextmanager
def replacing_masked_calls() -> Iterator[None]:
    """A `Call Ended` replaces a record that has no number, as if its bridge had reported it."""

    def is_replaceable(usage: Usage) -> bool:
        return usage.reported_by_bridge or usage.content_digest is not None

    with patch.object(Usage, "is_replaceable", property(is_replaceable)):
        yield


@contextmanager
def digesting_what_is_left() -> Iterator[None]:
    """The digest of a masked call is made when its number is gone."""
    mask = call_content.without_number

    def too_late(usage: Usage, key: bytes) -> Usage:
        masked = mask(usage, key)
        return masked._replace(content_digest=digest_of(masked.call, key))

    with patch.object(mask_numbers, "without_number", too_late):
        yield


@contextmanager
def masking_the_priced_prefix() -> Iterator[None]:
    """Of each number the country alone is left, whatever prefix has priced the call."""
    kept = call_content._kept_number  # noqa: SLF001 - what is left of a number

    def country_only(usage: Usage) -> str | None:
        return kept(usage._replace(price=usage.price._replace(prefix=None)))

    with patch.object(call_content, "_kept_number", country_only):
        yield


@contextmanager
def masking_what_is_archived_later() -> Iterator[None]:
    """Numbers are masked first: if the archive then takes nothing, they are nowhere."""
    mask = MaskNumbers._mask  # noqa: SLF001 - what is done with some calls of a page

    def at_once(
        masking: MaskNumbers, due: Sequence[Usage], key: bytes, done: MaskedNumbers
    ) -> MaskedNumbers:
        masked = mask(replace(masking, archive=None), due, key, done)
        assert masking.archive is not None
        masking.archive.keep(done.organization_id, due)
        return masked

    with patch.object(MaskNumbers, "_mask", at_once):
        yield


@contextmanager
def archiving_what_is_masked() -> Iterator[None]:
    """The archive has what is left of the calls."""
    keep = InMemoryUsageArchive.keep

    def masked(archive: InMemoryUsageArchive, who: str, usages: Sequence[Usage]) -> None:
        keep(archive, who, [without_number(usage, b"") for usage in usages])

    with patch.object(InMemoryUsageArchive, "keep", masked):
        yield


MASKING_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    masking_calls_as_charged_first: "masking changes no money",
    masking_calls_out_only: "what was masked leaves no number behind",
    replacing_masked_calls: "a masked call that is delivered again changes nothing",
    masking_what_is_archived_later: "what was masked is in the archive as it was before",
    archiving_what_is_masked: "what was masked is in the archive as it was before",
    digesting_what_is_left: "what was masked is in the archive as it was before",
    masking_the_priced_prefix: "each call costs what the rules say",
}
