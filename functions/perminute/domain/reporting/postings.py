"""What transactions wrote about calls and credit, as reports read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.rating.usage_record import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.usage_record import Flag, Reason, Usage


class Posting(NamedTuple):
    """The transaction that wrote something: its place among those of its organization."""

    version: int  # of the account after it; each transaction that lists calls has its own
    posted_at: datetime  # the account's `as_of` after it: never decreases with the version
    # The entry that charged or corrected the calls, if they cost something, and its `at`.
    entry_id: str | None = None
    entry_at: datetime | None = None


class ListedUsage(NamedTuple):
    """A call as it is listed; money in micro-units of `currency`."""

    call_id: str
    organizer_id: str
    leg_type: LegType
    answered_at: datetime
    ended_at: datetime  # says to which day the call belongs
    connected_seconds: int
    billed_seconds: int
    prefix: str | None
    country: str | None
    rate_micros_per_minute: int | None
    connection_fee_micros: int | None
    currency: str | None
    outcome: Outcome
    reason: Reason | None
    charge_micros: int
    retail_micros: int | None  # None without a price
    pool_minutes: int
    flags: tuple[Flag, ...]

    @classmethod
    def of(cls, usage: Usage) -> ListedUsage:
        """Return what is listed of a usage."""
        call, price = usage.call, usage.stated_price
        # By position: each call that is charged is listed, and names would take half as long again.
        return cls(
            call.call_id,
            call.organizer_id,
            call.leg_type,
            call.rated_at,
            call.ended_at,
            call.connected_seconds,
            price.billed_seconds,
            price.prefix,
            price.country,
            price.rate_micros_per_minute,
            price.connection_fee_micros,
            price.currency,
            usage.outcome,
            usage.reason,
            usage.charge_micros,
            price.retail_micros,
            usage.pool_minutes,
            usage.flags,
        )

    def by_end(self) -> tuple[datetime, str]:
        """Return what sorts calls by when they ended."""
        return self.ended_at, self.call_id


class UsageList(NamedTuple):
    """The calls of one transaction that ended on one UTC day, as it left them; never changed.

    Calls that are free whatever the licenses are in none. A call that was charged by its bridge's
    reports is listed again if its `Call Ended` says that it ended at another time, or that it is
    not free: what it costs is then booked by the entry of the posting as a correction.
    """

    key: str  # orders lists by when the last of their calls ended
    posting: Posting
    usages: tuple[ListedUsage, ...]
    entry: LedgerEntry | None = None  # of their charge, if it is stored in this list


class RevisedUsage(NamedTuple):
    """A call before and after it was rated again, settled or corrected."""

    before: ListedUsage
    after: ListedUsage

    @property
    def is_moved(self) -> bool:
        """Whether a list of the same transaction has it, if it is not free, and no earlier one."""
        return self.before.outcome is Outcome.FREE or self.before.ended_at != self.after.ended_at


class Revision(NamedTuple):
    """The calls that one transaction changed; never changed itself."""

    posting: Posting
    usages: tuple[RevisedUsage, ...]


MAX_REVISED_DAYS = 32
"""Days that the calls of one revision span at most, by their ends before it: what a pool of a month
may contain. So whoever reads revisions of some days knows how many further days to read."""
