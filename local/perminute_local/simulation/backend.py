"""What stands in the tables about one organization, read where nothing is in the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Protocol

from perminute.application.retry import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perminute.application.check_books import CheckBooks
    from perminute.application.correct_rates import RateCorrection
    from perminute.application.reconcile_books import BooksReport
    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lot
    from perminute.domain.credit.transaction import EventIdentity, ProcessedEvent
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.limits.spending import Spending, SpendingChange
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reconciliation.book_checks import BooksCheck
    from perminute.domain.reconciliation.reconciliation import Statement
    from perminute.ports import RunOrganization
    from perminute_local.replay.lambda_runtime import LoadedFunction
    from perminute_local.stack import Stack


MOST_FACTS = 6
"""Facts to which a timeline of a world takes more before it is rolled over, instead of a thousand:
a world is no year of nightly synchronizations."""

MOST_SETTLED_AT_ONCE = 1
"""Calls of a world that are gone over while others wait to be charged, instead of forty: a month of
a world has few that draw on a pool, and what is settled afterwards is to happen as well."""


ORGANIZATIONS_ON_A_PAGE = 2
"""Organizations that a daily run lists at once, instead of a thousand: a world has few."""

PARTS_READ_AT_ONCE = 15
"""Entries and calls that one invocation adds up of books that are read whole: then it goes on in a
further message."""

WHOLE_WITHIN_DAYS = 3
"""Days within which all books of an organization are read: a world has few of these, too."""


def in_pieces(check_books: CheckBooks) -> Callable[[RunOrganization, Deadline], BooksReport]:
    """Have books read in pieces, whatever time there is."""

    def piece(work: RunOrganization, _: Deadline) -> BooksReport:
        # It has passed once it was asked so often: after each entry or call that is added up.
        return check_books(work, Deadline(at=PARTS_READ_AT_ONCE, clock=partial(next, count(1))))

    return piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All of an organization at a moment at which nothing is under way."""

    statement: Statement
    usages: Mapping[str, Usage]
    expired: Sequence[Lot]
    """Lots that have expired, with what is forfeited of them."""
    reservations: Sequence[Reservation]
    licensing: Licensing
    facts: frozenset[tuple[str | None, Fact]]
    spendings: Sequence[Spending]
    """What was spent of limits, but for the days, which the account has."""
    spending_changes: Mapping[int, Sequence[SpendingChange]]
    """What corrections changed for limits, by their numbers."""
    waiting: int
    """Re-ratings that nobody has carried out."""
    processed_event: Callable[[EventIdentity], ProcessedEvent | None]
    check: BooksCheck
    """How its books were checked last."""

    @property
    def account(self) -> Account:
        """Its credit."""
        return self.statement.account


class Medium(Protocol):
    """What the functions run over."""

    stack: Stack

    def load(self, name: str) -> LoadedFunction:
        """Start another instance of a function."""
        ...

    def publish(self, content: bytes, version: str) -> None:
        """Put a rate card in force."""
        ...

    def archive(self, content: bytes, version: str) -> None:
        """Keep a rate card that is not put in force."""
        ...

    def correct_rates(self, organization_id: str, correction: RateCorrection) -> None:
        """Book a correction of an organization's calls, as the command line does."""
        ...

    def seen(self, organization_id: str) -> Seen:
        """Read all of an organization."""
        ...

    def spoil(self, organization_id: str, micros: int) -> None:
        """Add to the balance of an organization what no entry says."""
        ...
