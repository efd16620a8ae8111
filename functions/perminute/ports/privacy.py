"""What masking numbers and erasing calls needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.rating.usage_record import Usage


class ContentKeys(Protocol):
    """The keys of the digests of calls, one for each organization. Raises `Unavailable`."""

    def find(self, organization_id: str) -> bytes | None:
        """Read the key; None if none was made, or it is destroyed."""

    def get_or_make(self, organization_id: str) -> bytes:
        """Return the key, which is made at random if there is none."""

    def destroy(self, organization_id: str) -> None:
        """Forget the key: no digest of the organization can be compared with anything again."""


class OtherRecords(NamedTuple):
    """How many records of an organization name erased users, beside its calls, by their kind."""

    lists: int = 0
    counters: int = 0
    notifications: int = 0
    events: int = 0
    not_ended: int = 0  # calls that were authorized, and of which nothing is to be charged
    # What is still under way: published a moment ago, to be counted in a digest, to be rated again.
    recent: int = 0


class Erasure(Protocol):
    """What names users beside the records of their calls. Raises `Unavailable`.

    `names` are users with the pseudonyms that stand for them. Each step may be done again, as often
    as the one before it was interrupted.
    """

    def users(self, organization_id: str) -> set[str]:
        """Name the users with a timeline, or in a list of calls."""

    def has_timeline(self, organization_id: str, user_id: str | None) -> bool:
        """Whether a user, or the organization (None), has a timeline."""

    def is_taken(self, organization_id: str, pseudonym: str) -> bool:
        """Whether an erased user has a timeline under this pseudonym."""

    def copy_timeline(self, organization_id: str, user_id: str, pseudonym: str) -> None:
        """Write a user's timeline under the pseudonym as well: licenses count only once."""

    def move_timeline(self, organization_id: str, user_id: str, pseudonym: str) -> bool:
        """Have the copy stand for the timeline; False if that has changed since it was copied."""

    def forget_name(self, organization_id: str) -> None:
        """Leave out of the organization's timeline how it is called."""

    def erase_others(
        self,
        organization_id: str,
        names: Mapping[str, str],
        *,
        before: datetime,
        everything: bool,
        write: bool,
    ) -> OtherRecords:
        """Replace users in lists of calls, and delete or empty whatever else names them.

        Notifications from `before` an instant are deleted, later ones are counted as recent. With
        `everything` that holds for all of them, whomever they name, and for all licensing events.
        Unless `write`, records are only counted.
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
        """Go through the calls that are not erased, a page of the table at a time.

        Only those that were answered before an instant, or never; and only those that have no
        digest, unless `masked`. A page may be empty. `after` is where an earlier reading stopped.
        What was written a moment ago may be missing.
        """

    def replace(self, before: Usage, after: Usage) -> bool:
        """Write numbers, organizer, meeting and digest of a call anew, and nothing else of it.

        Returns False, and writes nothing, if the call was changed since it was read.
        """
