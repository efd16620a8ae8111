"""Calls as they were after a version of the account: their lists, and what was revised since.

A call is what its last change made of it. Nothing is added up from changes, so it does not matter
whether a revision is read before or after the list of its calls, or twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.rating.usage_record import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute.domain.reporting.postings import ListedUsage, Revision, UsageList


class CurrentUsages:
    """What the calls of lists are after a version of the account.

    It contains only the calls that were revised. So the lists of a month of any size can be gone
    through one by one.
    """

    def __init__(self, version: int, revisions: Iterable[Revision] = ()) -> None:
        self._version = version
        # Each revised call with the version of its last revision.
        self._revised: dict[str, tuple[int, ListedUsage]] = {}
        # The version that listed a call anew, with another end than its bridge had reported.
        self._listed_anew: dict[str, int] = {}
        for revision in revisions:
            self.revise(revision)

    def revise(self, revision: Revision) -> None:
        """Add a revision, in any order; all those of a list's calls come before the list."""
        version = revision.posting.version
        if version > self._version:
            return
        for before, after in revision.usages:
            call_id = after.call_id
            if call_id not in self._revised or self._revised[call_id][0] < version:
                self._revised[call_id] = version, after
            if before.ended_at != after.ended_at:
                self._listed_anew[call_id] = max(version, self._listed_anew.get(call_id, 0))

    def of(self, usage_list: UsageList) -> Iterator[ListedUsage]:
        """Go through the calls of a list as they are; none if the list is of a later version.

        Calls that have become free are left out, since those that always were are in no list.
        """
        listed_by = usage_list.posting.version
        if listed_by > self._version:
            return
        if not self._revised:
            yield from usage_list.usages
            return
        for usage in usage_list.usages:
            version, current = self._revised.get(usage.call_id, (0, usage))
            if version <= listed_by:
                current = usage
            elif self._listed_anew.get(usage.call_id, 0) > listed_by:
                continue
            if current.outcome is not Outcome.FREE:
                yield current
