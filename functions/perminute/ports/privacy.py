"""What masking numbers and erasing calls needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.rating.usage_record import Usage


class ContentKeys(Protocol):
    """The keys of content digests, one for each organization. Raises `Unavailable`."""

    def find(self, organization_id: str) -> bytes | None:
        """Read the key; None if none was made, or it is destroyed."""

    def get_or_make(self, organization_id: str) -> bytes:
        """Return the key; make a random one if there is none."""

    def destroy(self, organization_id: str) -> None:
        """Delete the key: no digest of the organization can be compared with anything again."""


class UsageArchive(Protocol):
    """Where calls are kept in full when their numbers are masked. Raises `Unavailable`."""

    def keep(self, organization_id: str, usages: Sequence[Usage]) -> None:
        """Store calls of an organization; it returns when they are stored, and not before.

        The same calls, stored again, are stored once.
        """


class ArchivedCalls(Protocol):
    """What an archive has of calls, as far as erasing it goes. Raises `Unavailable`."""

    def erase(
        self, organization_id: str, names: Mapping[str, str], *, everything: bool, write: bool
    ) -> int:
        """Rewrite files that name users, and delete what they were before; return how many.

        A call of a user has the pseudonym then, and no number and meeting. With `everything` all
        files of the organization are deleted. Unless `write` is set, files are only counted.
        """


class OtherRecords(NamedTuple):
    """The number of records, beside calls, that name erased users of an organization, by kind."""

    lists: int = 0
    counters: int = 0
    notifications: int = 0
    events: int = 0
    not_ended: int = 0  # calls that were authorized, and of which nothing is to be charged
    # What is still needed: published a moment ago, waiting for a digest, or to be rated again.
    recent: int = 0


class Erasure(Protocol):
    """What names users beside the records of their calls. Raises `Unavailable`.

    `names` are users with the pseudonyms that replace them. Each step may be repeated after an
    interruption.
    """

    def users(self, organization_id: str) -> set[str]:
        """Return the users who have a timeline, or are in a list of calls."""

    def has_timeline(self, organization_id: str, user_id: str | None) -> bool:
        """Whether a user, or the organization (None), has a timeline."""

    def is_taken(self, organization_id: str, pseudonym: str) -> bool:
        """Whether an erased user has a timeline under this pseudonym."""

    def copy_timeline(self, organization_id: str, user_id: str, pseudonym: str) -> None:
        """Write a user's timeline under the pseudonym as well: licenses count only once."""

    def move_timeline(self, organization_id: str, user_id: str, pseudonym: str) -> bool:
        """Replace the timeline by its copy; False if it has changed since it was copied."""

    def forget_name(self, organization_id: str) -> None:
        """Remove the organization's name from its timeline."""

    def erase_others(
        self,
        organization_id: str,
        names: Mapping[str, str],
        *,
        before: datetime,
        everything: bool,
        write: bool,
    ) -> OtherRecords:
        """Replace users in lists of calls, and delete or empty everything else that names them.

        Notifications from before `before` are deleted; later ones are counted as recent. With
        `everything` this applies to all notifications and licensing events, whomever they name.
        Unless `write` is set, records are only counted.
        """


class RecordedPage(NamedTuple):
    """Ended calls of an organization, in the order of their ids."""

    usages: Sequence[Usage]
    after: str  # the id up to which calls were looked at


class RecordedContent(Protocol):
    """What is recorded of the content of ended calls. Raises `Unavailable`."""

    def pages(
        self,
        organization_id: str,
        *,
        answered_before: datetime | None = None,
        masked: bool = False,
        after: str | None = None,
    ) -> Iterator[RecordedPage]:
        """Yield the calls that are not erased, a page of the table at a time.

        These are the calls that were answered before `answered_before`, or never; those that are
        masked are left out unless `masked` is set. A page may be empty. `after` is where an earlier
        reading stopped. What was written a moment ago may be missing.
        """

    def replace(self, before: Usage, after: Usage) -> bool:
        """Rewrite numbers, organizer, meeting and digest of a call, and nothing else of it.

        Returns False, and writes nothing, if the call was changed since it was read.
        """
