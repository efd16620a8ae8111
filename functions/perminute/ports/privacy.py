"""What masking numbers and erasing calls needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
