"""What was posted for an organization, as reports read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.reporting.postings import Revision, UsageList


class Postings(Protocol):
    """Lists, revisions and entries of an organization. Raises `Unavailable`.

    Read the account first. What its version counts is found from then on and never changes; what
    has a later version is to be left out, since other parts of it may not have been seen.
    """

    def account(self, organization_id: str) -> Account:
        """Read the account; one that was never written has version 0."""

    def usage_lists(
        self,
        organization_id: str,
        *,
        since: datetime,
        until: datetime,
        newest_first: bool = False,
        after: str | None = None,
    ) -> Iterator[UsageList]:
        """Go through the lists whose last call ended in `[since, until)`, in the order of the keys.

        A list contains calls of one UTC day, so for the calls that ended by `until` read to the end
        of its day. `after` is the key of the list at which an earlier reading stopped.
        """

    def revisions(
        self, organization_id: str, *, since: datetime, until: datetime
    ) -> Iterator[Revision]:
        """Go through the revisions whose last call, as it was before, ended in `[since, until)`.

        For all revisions of calls that ended before an instant, read `MAX_REVISED_DAYS` further.
        """

    def entries(self, organization_id: str, *, posted_since: datetime) -> Iterator[LedgerEntry]:
        """Go back through the entries that are in no list, the last first, as far as an instant.

        The entry of a charge is in a list of its calls if it was posted on the day on which they
        ended, or on the next day, and `at` one of the two; all others are found here.
        """
