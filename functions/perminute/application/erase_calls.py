"""Erase a user, or all users of an organization: who made the calls, and not what they cost.

A pseudonym replaces the id of the user; only the organization's key can connect the two. Everything
that decides about money stays: what each call cost, the entries, the pools, and under
the pseudonym the licenses, by which late events may still rate calls again. With all users of an
organization its key is destroyed. What is archived of the user's calls is rewritten first, so that
an interrupted run finds the user again.

Each step may be interrupted and begun again. Until the last one, the user's licenses are found
under both names, so that a call is rated alike whichever name its record has.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.side_by_side import RunAll, in_order
from perminute.domain.errors import NotFound, Refused
from perminute.domain.licensing.attributes import LICENSES
from perminute.domain.rating.erased_calls import erased_usage, is_pseudonym, pseudonym_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.application.retry import RetryPolicy
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.privacy import (
        ArchivedCalls,
        ContentKeys,
        Erasure,
        OtherRecords,
        RecordedContent,
    )
    from perminute.ports.stores import CreditStore, LicensingStore, Reratings

# The stream from which notifications are published keeps records for one day.
PUBLISHED_WITHIN = timedelta(days=2)
MAX_PSEUDONYMS = 1_000  # so often a user can be erased


class Erased(NamedTuple):
    """How much of an organization was found that names erased users, and what is left."""

    organization_id: str
    users: int
    calls: int
    others: OtherRecords
    archived: int = 0  # files of the archive
    left: int = 0  # what was changed meanwhile, or is recent: it is erased by another run


@dataclass(frozen=True, slots=True)
class EraseCalls:
    """The use case with what it needs from outside."""

    credit: CreditStore
    licensing: LicensingStore
    content: RecordedContent
    erasure: Erasure
    keys: ContentKeys
    reratings: Reratings
    retry: RetryPolicy
    archive: ArchivedCalls | None = None  # None, no call is archived
    run_all: RunAll = in_order

    def preview(self, organization_id: str, user_id: str | None, at: datetime) -> Erased:
        """Count what names a user, or all (None). Raises `Refused`, `NotFound`, `Unavailable`."""
        names = {name: name for name in self._users(organization_id, user_id, at)}
        calls = sum(len(page) for page in self._pages(organization_id, names))
        others = self._erase_others(organization_id, user_id, names, at, write=False)
        # Calls may be archived while their user is erased: then they are in the archive alone.
        archived = self._erase_archived(organization_id, user_id, names, write=False)
        known = (
            calls or archived or any(others) or self.erasure.has_timeline(organization_id, user_id)
        )
        if user_id is not None and not known:
            raise NotFound("user", f"nothing is stored of this user of {organization_id}")
        return Erased(organization_id, len(names), calls, others, archived, others.recent)

    def __call__(
        self,
        organization_id: str,
        user_id: str | None,
        at: datetime,
        show: Callable[[int], None] = lambda _: None,
    ) -> Erased:
        """Erase a user, or all (None); `show` is called with how many calls are done.

        Raises `Refused`, `NotFound` and `Unavailable`.
        """
        users = self._users(organization_id, user_id, at)
        key = self.keys.get_or_make(organization_id)
        names = {user: self._pseudonym(organization_id, user, key) for user in sorted(users)}
        archived = self._erase_archived(organization_id, user_id, names, write=True)
        for user, pseudonym in names.items():
            self._retried(self.erasure.copy_timeline, organization_id, user, pseudonym)
        done = Counter[bool]()
        for page in self._pages(organization_id, names):
            done.update(self._erase_page(page, names, key))
            show(done[True])
        others = self._erase_others(organization_id, user_id, names, at, write=True)
        if user_id is None:
            self._retried(self.erasure.forget_name, organization_id)
        # And what was archived meanwhile.
        archived += self._erase_archived(organization_id, user_id, names, write=True)
        moved = [
            self._retried(self.erasure.move_timeline, organization_id, *named)
            for named in names.items()
        ]
        left = done[False] + moved.count(False) + others.recent
        if user_id is None and not left:
            self.keys.destroy(organization_id)
        return Erased(organization_id, len(users), done[True], others, archived, left)

    def _users(self, organization_id: str, user_id: str | None, at: datetime) -> set[str]:
        if self.credit.account(organization_id).version == 0:
            raise NotFound("organization", f"nothing is stored of {organization_id}")
        if user_id is not None:
            self._check_licenses(organization_id, user_id, at)
        users = {user_id} if user_id is not None else self._all_users(organization_id)
        self._check_reratings(organization_id, users)
        return users

    def _all_users(self, organization_id: str) -> set[str]:
        users = self.erasure.users(organization_id)
        for page in self.content.pages(organization_id, masked=True):
            users.update(usage.call.organizer_id for usage in page.usages)
        return {user for user in users if not is_pseudonym(user)}

    def _check_licenses(self, organization_id: str, user_id: str, at: datetime) -> None:
        if is_pseudonym(user_id):
            raise Refused("user", "is the pseudonym of a user who is erased already")
        user = self.licensing.licensing(organization_id, [user_id]).user(user_id)
        if any(user.value_at(attribute, at) for attribute in LICENSES):
            raise Refused(
                "user",
                "still holds licenses, and may call: send License Removed first, and erase the "
                "user when all calls have been reported",
            )

    def _check_reratings(self, organization_id: str, users: set[str]) -> None:
        # These find the calls of a user by his name.
        for rerating in self.reratings.waiting(organization_id):
            if not users.isdisjoint(rerating.since):
                raise Refused(
                    "user",
                    "has calls that are just being rated again: erase the user in some minutes",
                )

    def _pseudonym(self, organization_id: str, user_id: str, key: bytes) -> str:
        # One of a former erasure has its own licenses.
        for number in range(1, MAX_PSEUDONYMS):
            pseudonym = pseudonym_of(user_id, key, number)
            if not self.erasure.is_taken(organization_id, pseudonym):
                return pseudonym
        raise Refused("user", f"was erased {MAX_PSEUDONYMS} times already")

    def _pages(self, organization_id: str, names: Mapping[str, str]) -> Iterator[Sequence[Usage]]:
        for page in self.content.pages(organization_id, masked=True):
            yield [usage for usage in page.usages if usage.call.organizer_id in names]

    def _erase_page(
        self, page: Sequence[Usage], names: Mapping[str, str], key: bytes
    ) -> Sequence[bool]:
        return self.run_all([partial(self._erase, usage, names, key) for usage in page])

    def _erase(self, usage: Usage, names: Mapping[str, str], key: bytes) -> bool:
        after = erased_usage(usage, names[usage.call.organizer_id], key)
        write = partial(self.content.replace, usage, after)
        return self.retry.call(write, usage.call.organization_id)

    def _erase_archived(
        self, organization_id: str, user_id: str | None, names: Mapping[str, str], *, write: bool
    ) -> int:
        if self.archive is None:
            return 0
        return self.archive.erase(organization_id, names, everything=user_id is None, write=write)

    def _erase_others(
        self,
        organization_id: str,
        user_id: str | None,
        names: Mapping[str, str],
        at: datetime,
        *,
        write: bool,
    ) -> OtherRecords:
        return self.erasure.erase_others(
            organization_id,
            names,
            before=at - PUBLISHED_WITHIN,
            everything=user_id is None,
            write=write,
        )

    def _retried(self, step: Callable[..., bool | None], organization_id: str, *who: str) -> bool:
        return self.retry.call(partial(step, organization_id, *who), organization_id) is not False
