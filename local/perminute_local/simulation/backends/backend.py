"""What the functions run over, and what it has stored of an organization."""

from __future__ import annotations

import pkgutil
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from unittest.mock import patch

from perminute import bootstrap
from perminute.application.retry import Deadline
from perminute.domain.values.money import format_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import ModuleType

    from perminute.application.check_books import BooksReport, CheckBooks
    from perminute.application.correct_rates import RateCorrection
    from perminute.application.erase_calls import Erased
    from perminute.application.mask_numbers import MaskedNumbers
    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lot
    from perminute.domain.credit.transaction import EventIdentity, ProcessedEvent
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.limits.spending import SpendChange, SpendCounter
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reconciliation.book_checks import BooksCheck
    from perminute.domain.reconciliation.reconciliation import Statement
    from perminute.domain.reporting.postings import Revision, UsageList
    from perminute.ports.messaging import RunOrganization
    from perminute.ports.postings import Postings
    from perminute_local.replay.lambda_runtime import LoadedFunction
    from perminute_local.stack import Stack


# The limits of a world, in which there is less of everything.
MAX_FACTS = 6
"""Facts of a timeline before it is rolled over, instead of a thousand."""
MAX_SETTLED_AT_ONCE = 1
"""Calls whose pool is settled while others wait to be charged, instead of forty: few calls of a
world draw on a pool, and some must be left to be settled afterwards."""
ORGANIZATIONS_PER_PAGE = 5
"""Organizations that a daily run lists at once, instead of a thousand."""
WHOLE_WITHIN_DAYS = 3
"""Days within which all books of an organization are read."""
_LONG_AGO, _FAR_AHEAD = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_PARTS_READ_AT_ONCE = 15
"""Entries and calls that one invocation adds up before it continues in a further message."""


def in_pieces(check_books: CheckBooks) -> Callable[[RunOrganization, Deadline], BooksReport]:
    """Return a check of the books that is done in pieces, whatever time there is."""

    def piece(work: RunOrganization, _: Deadline) -> BooksReport:
        # The clock is read after each entry or call, so it counts these.
        return check_books(work, Deadline(at=_PARTS_READ_AT_ONCE, clock=partial(next, count(1))))

    return piece


@cache  # functions are loaded again and again, whenever one was killed
def _bootstrap_modules() -> list[ModuleType]:
    names = [module.name for module in pkgutil.iter_modules(bootstrap.__path__)]
    return [import_module(f"{bootstrap.__name__}.{name}") for name in names]


@contextmanager
def replaced_in_bootstrap(**replacements: Any) -> Iterator[None]:  # noqa: ANN401 - classes and functions
    """Replace what use cases are made of, in each module of `bootstrap` that imports it."""
    with ExitStack() as patches:
        for module in _bootstrap_modules():
            for name in replacements.keys() & vars(module).keys():
                patches.enter_context(patch.object(module, name, replacements[name]))
        yield


class Posted(NamedTuple):
    """All that reports read of an organization."""

    lists: Sequence[UsageList]
    revisions: Sequence[Revision]
    other_entries: Sequence[LedgerEntry]  # those that are in no list

    @classmethod
    def read(cls, postings: Postings, organization_id: str) -> Posted:
        """Read it, whenever it was written."""
        since, until = _LONG_AGO, _FAR_AHEAD
        return cls(
            list(postings.usage_lists(organization_id, since=since, until=until)),
            list(postings.revisions(organization_id, since=since, until=until)),
            list(postings.entries(organization_id, posted_since=since)),
        )


class Snapshot(NamedTuple):
    """All that is stored of an organization."""

    statement: Statement
    usages: Mapping[str, Usage]
    posted: Posted
    expired: Sequence[Lot]
    reservations: Sequence[Reservation]
    licensing: Licensing
    facts: frozenset[tuple[str | None, Fact]]
    """Each with its user, or None."""
    spend_counters: Sequence[SpendCounter]
    """What was spent of limits, except of days, which the account contains."""
    spend_changes: Mapping[int, Sequence[SpendChange]]
    """What corrections changed of these, by their numbers."""
    waiting: int
    """Re-ratings that were not carried out."""
    processed_event: Callable[[EventIdentity], ProcessedEvent | None]
    check: BooksCheck
    content_key: bytes | None
    """That of the digests of its calls, if numbers were masked."""
    archived: Sequence[Usage] | None
    """Calls as they were before they were masked, if there is an archive."""
    notifications: Callable[[], object]
    """Reads those that are stored, and the calls that a digest is to count."""

    @property
    def account(self) -> Account:
        """Its credit."""
        return self.statement.account

    def in_words(self, now: datetime) -> Iterator[str]:
        """Yield a line of the balance, and one of each call."""
        account = self.account
        yield (
            f"at version {account.version}: {format_micros(account.balance_micros)} in "
            f"{len(account.lots)} lots, {account.entries} entries, "
            f"{format_micros(account.reserved.amount_at(now))} reserved"
        )
        for call_id, usage in sorted(self.usages.items()):
            yield (
                f"{call_id}: {usage.outcome} {usage.reason or ''} "
                f"{format_micros(usage.charge_micros)}, {usage.pool_minutes} minutes of the pool, "
                f"entry {usage.entry_id}, {' '.join(usage.flags)}"
            )


class Backend(Protocol):
    """What the functions run over."""

    stack: Stack

    def load(self, name: str) -> LoadedFunction:
        """Start another instance of a function."""

    def publish(self, content: bytes, version: str) -> None:
        """Put a rate card in force."""

    def store_version(self, content: bytes, version: str) -> None:
        """Store a rate card without putting it in force."""

    def correct_rates(self, organization_id: str, correction: RateCorrection) -> None:
        """Correct an organization's calls, as the command line does."""

    def mask_numbers(self, organization_id: str, at: datetime) -> MaskedNumbers:
        """Mask the numbers of an organization's calls that ended before an instant."""

    def content_key(self, organization_id: str) -> bytes:
        """Return the key of the digests of an organization's calls, made if there is none."""

    def erase_calls(self, organization_id: str, user_id: str | None, at: datetime) -> Erased:
        """Erase a user of an organization, or all, as the command line does."""

    def snapshot(self, organization_id: str) -> Snapshot:
        """Return all that is stored of an organization."""

    def corrupt(self, organization_id: str, micros: int) -> None:
        """Add to the balance of an organization without an entry."""
