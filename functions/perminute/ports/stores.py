"""What is stored, and how the use cases read and write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.booking import BoughtCredit
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lot, Lots
    from perminute.domain.credit.transaction import (
        Authorized,
        EventIdentity,
        ProcessedEvent,
        Transaction,
    )
    from perminute.domain.licensing.licensing import Licensing, LicensingChange, Seats
    from perminute.domain.licensing.timelines import Timeline
    from perminute.domain.limits.spending import SpendChange, SpendCounter, SpendKey
    from perminute.domain.pools.pools import MinutePool, Month
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reconciliation.book_checks import (
        BooksCheck,
        BooksCursor,
        CallCost,
        PoolUse,
    )
    from perminute.domain.reconciliation.reconciliation import AccountTotals, Statement
    from perminute.domain.rerating.rerating import Rerating

MAX_CALLS_READ = 100
"""Calls that `CallsUnderWay.read_calls` reads: as many as DynamoDB reads in one request."""


class CallUnderWay(NamedTuple):
    """An account, and what is known of one of its calls: it is authorized, has ended, or neither.

    Either may be older than the other. Whoever decides by them commits against both.
    """

    account: Account
    call: Reservation | Usage | None


class CallPlace(NamedTuple):
    """The place of a call among those under way: when it was authorized, then its id."""

    since: datetime
    call_id: str


class CallsUnderWay(Protocol):
    """Calls while they are authorized. Raises `Unavailable`."""

    def read(self, organization_id: str, call_id: str) -> CallUnderWay:
        """Read an account and a call in one request."""

    def store(self, authorized: Authorized) -> bool:
        """Record a call under way, and leave its account; return False if the call has changed."""

    def calls_by_start(
        self, organization_id: str, *, limit: int, after: CallPlace | None = None
    ) -> Iterator[CallPlace]:
        """Name calls that were authorized and are neither released nor recorded as ended.

        In the order in which they were authorized; at most `limit`, beginning after a place, at
        which there need not be a call any more. Found in an index that may lag behind: what they
        are by now is to be read with `read_calls`.
        """

    def read_calls(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation | Usage]:
        """Read calls as they are now, at most `MAX_CALLS_READ`; unknown ones are left out."""


class ListedCall(NamedTuple):
    """What is listed of a call: enough to decide whether it is to be rated again."""

    call_id: str
    organizer_id: str
    dial_out: bool
    answered_at: datetime
    ended_at: datetime

    @classmethod
    def of(cls, call: Call) -> ListedCall:
        """Say of a call what is listed."""
        return cls(call.call_id, *call.listing)

    def lists(self, usage: Usage) -> bool:
        """Whether this is what is listed of a call as it is recorded now, and not out of date."""
        listed = ListedCall.of(usage.call)
        # An organizer is erased from the record first, and from lists afterwards.
        return self == listed or (
            usage.is_erased and self._replace(organizer_id=listed.organizer_id) == listed
        )


class CallList(NamedTuple):
    """The calls of one transaction that ended on one UTC day; `key` orders lists."""

    key: str
    calls: tuple[ListedCall, ...]

    @property
    def day(self) -> date:
        """The day on which they ended."""
        return self.calls[0].ended_at.date()


class Calls(Protocol):
    """What was recorded of calls. Raises `Unavailable`."""

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        """Go through the calls that ended since an instant, list by list, in the order of the keys.

        No call is missing whose transaction was committed before this is asked. Those that are free
        whatever the licenses are in none. A list may contain calls that ended earlier on its day.
        A call may be listed twice, as its bridge reported it and as its `Call Ended` says: what is
        not `ListedCall.lists` its usage is out of date.
        """

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        """Go through those of the lists that contain a dial-out."""

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        """Read usages as no transaction is just changing them; else raises `Contended`.

        Calls that are unknown, or under way, are left out.
        """

    def usages_by_id(self, organization_id: str, call_ids: Collection[str]) -> Mapping[str, Usage]:
        """Read usages, each by itself as it is now, for half as much; never raises `Contended`.

        A transaction that is just being applied may have changed one of them and another not yet.
        Calls that are unknown, or under way, are left out.
        """


MAX_MERGED = 48
"""Re-ratings that are merged into one at once."""

MAX_CHANGES_PER_RECORD = 49
"""Each change takes a processed event and perhaps a timeline; account and re-rating are two."""


class ListedOrganizations(NamedTuple):
    """A page of organizations, and where the next one begins; None, this is the last."""

    organization_ids: Sequence[str]
    after: str | None


class CreditStore(Protocol):
    """Accounts, their ledgers, and the usage they paid for. Raises `Unavailable`."""

    def account(self, organization_id: str) -> Account:
        """Read the account as it is now; one that was never written is empty, at version 0."""

    def commit(self, transaction: Transaction) -> None:
        """Write a transaction of at most `MAX_ITEMS_PER_TRANSACTION`, or nothing.

        A processed event that `is_earlier_than` the recorded one replaces it. Raises
        `AccountChanged` and `AlreadyExists`.
        """

    def pools(self, organization_id: str, months: Collection[Month]) -> dict[Month, MinutePool]:
        """Read minute pools as no transaction is just changing them; else raises `Contended`.

        One that was never drawn on is empty. As with licensing, read the account first.
        """

    def spend_counters(
        self, organization_id: str, keys: Collection[SpendKey]
    ) -> dict[SpendKey, SpendCounter]:
        """Read what was spent of limits; those that nobody has counted are left out.

        As with licensing, read the account first.
        """

    def spend_changes(
        self, organization_id: str, *, after: int, until: int
    ) -> Mapping[int, Sequence[SpendChange]]:
        """Read what corrections changed for limits, those after one number up to another.

        By their numbers; the account must have been read first, and have as many as `until`.
        """

    def reservations(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation]:
        """Read those of the calls that are authorized and have not ended; the account first."""

    def reported_calls(self, organization_id: str, *, due_by: datetime) -> Iterator[str]:
        """Name calls that are due by then to be charged by what their bridges reported.

        Found in an index that may lag behind: what is to be charged is to be asked of the calls.
        """

    def pool_months(self, organization_id: str, since: Month) -> Sequence[Month]:
        """Name the months, from one on, whose pools calls have wanted to draw on."""

    def unsettled_months(self, organization_id: str) -> Sequence[Month]:
        """Name the months whose pools are to be settled, the oldest first."""

    def opened_lots(self, organization_id: str, lot_ids: Collection[str]) -> Mapping[str, Lot]:
        """Read lots as they were when they were opened, whatever became of them."""

    def entry(self, organization_id: str, entry_id: str) -> LedgerEntry | None:
        """Read an entry that is in no list of calls; None if it is in one, or there is none."""

    def further_lots(self, organization_id: str) -> Lots:
        """Read the lots that are items of their own, in the order in which they pay.

        Read the account first, and compare: a transaction in between may have changed them, and who
        decides by them commits against the account.
        """

    def expired_lots(self, organization_id: str, *, since: datetime) -> Lots:
        """Read lots that expired after an instant, with what is forfeited of them."""

    def bought(self, organization_id: str, purchase_id: str) -> BoughtCredit | None:
        """Read a purchase, and what became of it; None if nothing was bought under this id."""

    def processed_event(self, key: EventIdentity) -> ProcessedEvent | None:
        """Read what was recorded of a billing event; not of events known by their id."""

    def organizations(self, *, due_by: datetime | None = None) -> Iterator[str]:
        """Name the organizations that have an account, or those to look at by then.

        These are those with something due, and those of which an operator is to hear
        (`Account.listed_from`). Found in an index that may lag behind: who is due is to be asked
        of the account itself.
        """

    def listed_organizations(
        self, *, limit: int, due_by: datetime | None = None, after: str | None = None
    ) -> ListedOrganizations:
        """Name the next `limit` of the organizations that `organizations` names.

        `after` is where the page before ended; None, there was none.
        """

    def statement(self, organization_id: str) -> Statement:
        """Read all that is booked for an organization, as of one version of its account.

        The parts are not read at one instant: what is being booked meanwhile may show as a
        difference that another reading does not have.
        """


class LicensingStore(Protocol):
    """The licensing timelines of organizations and users. Raises `Unavailable`."""

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        """Read the timelines as no change is just being made to them; else raises `Contended`.

        A charge must read its account first: what changes later than that reading makes the
        account's next version, and the charge is decided again. A user without facts may be
        left out.
        """

    def users(self, account: Account) -> Mapping[str, Timeline]:
        """Read the timelines of all users, under the same promise as `licensing`."""

    def seats(self, account: Account) -> Seats:
        """Count the subscription licenses of all users, under the same promise as `licensing`."""

    def record(
        self,
        organization_id: str,
        changes: Sequence[tuple[LicensingChange, ProcessedEvent]],
        rerating: Rerating | None = None,
    ) -> None:
        """Add facts and processed events, and make the account's next versions, all or nothing.

        At most `MAX_CHANGES_PER_RECORD` changes, none with an identity that stands twice. The
        re-rating that they call for waits from then on to be carried out. A processed event that
        `is_earlier_than` the recorded one replaces it, and its facts are added to those of the
        other copy (`timelines.without_later_copies`). Raises `AccountChanged`, `AlreadyExists`,
        `FactsFolded` and `TimelineFull`.
        """

    def roll_over(
        self, organization_id: str, user_id: str | None, *, fold_before: datetime
    ) -> None:
        """Make room on a full timeline: move its facts on, and leave out what `fold` leaves out.

        `user_id` None means the organization. From then on no fact is taken that is effective
        before an instant for which facts were left out. No value changes at any instant. Raises
        `AccountChanged`.
        """


class Reratings(Protocol):
    """The re-ratings that are still to be carried out. Raises `Unavailable`.

    Each write makes the next step of a re-rating, on condition that the step that was read is
    still the last one: else it writes nothing and returns False.
    """

    def waiting(self, organization_id: str) -> Sequence[Rerating]:
        """Read all re-ratings of an organization as far as they have come."""

    def proceed(self, rerating: Rerating) -> bool:
        """Store how far it has come; its next step is to be carried out."""

    def merge(self, merged: Rerating, absorbed: Sequence[Rerating]) -> bool:
        """Replace others, at most `MAX_MERGED`, and the one as it was, by the merged one."""

    def finish(self, rerating: Rerating) -> bool:
        """Delete it, since all of it was carried out."""

    def organizations_waiting(self) -> Iterator[str]:
        """Name the organizations that have a re-rating or an unsettled pool, each at least once.

        Found in an index that may lag behind.
        """


class Books(Protocol):
    """All that is booked for an organization, read piece by piece. Raises `Unavailable`.

    Read `account_totals` first: the entries that it counts exist from then on, and never change.
    """

    def account_totals(self, organization_id: str) -> tuple[AccountTotals, bool]:
        """Read what entries and calls must add up to.

        Account and further lots are read one after the other: also returns whether they belong
        together.
        """

    def pools(self, organization_id: str) -> Mapping[Month, PoolUse]:
        """Read what the minute pools have given."""

    def parts(
        self, organization_id: str, *, after: BooksCursor | None = None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry | CallCost]]:
        """Go through all entries, then through what each call cost, with the cursor of each.

        Entries are in no order. `after` is a cursor at which an earlier reading stopped.
        """

    def other_entries(self, organization_id: str, *, after: int) -> Iterator[LedgerEntry]:
        """Go through the entries after a number that `latest_calls` does not return."""

    def latest_calls(
        self, organization_id: str
    ) -> Iterator[tuple[Sequence[LedgerEntry], Sequence[CallCost]]]:
        """Go back through the calls, the last that ended first, some at a time.

        With the entries that charged them, each of which is returned once, but those that were
        posted later than the day after. A call may be returned twice; those that are free whatever
        the licenses are are not returned.
        """


class BookChecks(Protocol):
    """What is known of how books were checked. Raises `Unavailable`."""

    def check(self, organization_id: str) -> BooksCheck:
        """Read what is known; of books that were never checked, nothing."""

    def store(self, check: BooksCheck) -> bool:
        """Write what is known by now, as the next step; False if another writer was faster."""

    def all(self) -> Iterator[BooksCheck]:
        """Go through what is known of all organizations, in no order."""
