"""Mask the phone numbers of calls that ended long ago, an organization at a time.

The digits that name the country or that priced the call remain; `*` replaces the others. If there
is an archive, it has the calls as they were before. A run looks at the records to see what is left
to mask, so it can be interrupted or repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.application.side_by_side import RunAll, in_order
from perminute.domain.errors import Unavailable
from perminute.domain.rating.call_content import has_number, without_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.messaging import RunOrganization
    from perminute.ports.privacy import ContentKeys, RecordedContent, UsageArchive


# Calls that are archived and written before it is asked again whether there is time for more.
CALLS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class MaskedNumbers:
    """What was done for an organization."""

    organization_id: str
    masked: int = 0
    # Calls that were corrected while they were being masked: the next run masks them.
    changed: int = 0
    goes_on: bool = False  # time has run out before the last call
    after: str | None = None  # from where it goes on
    failed: Unavailable | None = None  # why the rest could not be masked


@dataclass(frozen=True, slots=True)
class MaskNumbers:
    """The use case with what it needs from outside."""

    content: RecordedContent
    keys: ContentKeys
    retry: RetryPolicy
    kept: timedelta | None  # how long after the end of a call its number is kept; None, for ever
    run_all: RunAll = in_order  # how the calls of a page are written
    archive: UsageArchive | None = None  # None, what is masked is gone for good

    def __call__(self, work: RunOrganization, deadline: Deadline = NEVER) -> MaskedNumbers:
        """Mask the numbers of an organization's calls, from where the work says."""
        done = MaskedNumbers(work.organization_id, after=work.after)
        if self.kept is None:
            return done
        before = work.at - self.kept
        key_of = cache(self.keys.get_or_make)  # read once, and made only if a number is masked
        pages = self.content.pages(work.organization_id, answered_before=before, after=work.after)
        try:
            for page in pages:
                due = [
                    usage
                    for usage in page.usages
                    if usage.call.ended_at < before and has_number(usage)
                ]
                for start in range(0, len(due), CALLS_AT_ONCE):
                    key = key_of(work.organization_id)
                    done = self._mask(due[start : start + CALLS_AT_ONCE], key, done)
                    if deadline.passed:
                        # What is masked of this page is not read again.
                        return replace(done, goes_on=True)
                done = replace(done, after=page.after)
                if deadline.passed:
                    return replace(done, goes_on=True)
        except Unavailable as error:
            return replace(done, failed=error)
        return done

    def _mask(self, due: Sequence[Usage], key: bytes, done: MaskedNumbers) -> MaskedNumbers:
        if self.archive is not None:
            # What is not stored there is masked on another night.
            self.archive.keep(done.organization_id, due)
        written = self.run_all([partial(self._replace, usage, key) for usage in due])
        masked = sum(written)
        changed = len(written) - masked
        return replace(done, masked=done.masked + masked, changed=done.changed + changed)

    def _replace(self, usage: Usage, key: bytes) -> bool:
        write = partial(self.content.replace, usage, without_number(usage, key))
        return self.retry.call(write, usage.call.organization_id)


def rest_of(work: RunOrganization, done: MaskedNumbers) -> RunOrganization:
    """Return the work that is left if time has run out."""
    return work._replace(after=done.after)
