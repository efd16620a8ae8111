"""What is reserved for calls under way, and lapses by itself (RFC 8506 §5.1.1, "reservation").

It is stored as sums by the instant at which they lapse. These instants lie on a grid that is
coarser the further off they are, so most organizations have some ten sums, and the account item
stays small. The sums are exact, since each reservation lapses at an instant of the grid.

What a call has used, as its bridge reported, does not lapse: it stays reserved until the call is
charged. Its instant, one of four a day, is when that is due if no `Call Ended` comes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.values.times import EPOCH

if TYPE_CHECKING:
    from perminute.domain.credit.lots import Lot

MAX_INSTANTS_PER_SPAN = 16
"""The grid has at most so many instants within a span of time."""

CHARGE_TIMES_APART = timedelta(hours=6)
"""What calls have used is due to be charged at 00:00, 06:00, 12:00 or 18:00 UTC.

Each instant is a sum in the account item: usage reported within 72 hours makes 13 at most (by the
hour it would make 73), and what is due four more. The daily run comes right after midnight, so no
call is charged later than it would be by the hour.
"""

CHARGED_WITHIN = timedelta(days=1, hours=1)
"""How long after it is due the daily run has charged what calls have used, at the latest."""

_FINEST = timedelta(minutes=1)


class Hold(NamedTuple):
    """An amount, in micro-units or minutes, that is reserved for calls until an instant."""

    until: datetime
    amount: int
    calls: int
    used: bool = False  # it does not lapse, and is due to be charged at `until`
    # When the first of the calls that have used credit began, at the earliest.
    began_at: datetime | None = None

    def is_paid_by(self, lot: Lot, at: datetime) -> bool:
        """Whether a lot pays what calls have used, whenever after `at` they are charged."""
        # A lot that was bought before a call pays it even after its expiry.
        bought_before = self.began_at is not None and lot.purchased_at <= self.began_at
        return bought_before or lot.expires_at > max(self.until, at) + CHARGED_WITHIN

    def lasts_at(self, at: datetime) -> bool:
        """Whether it is still reserved at an instant."""
        return self.used or self.until > at

    def adds_to(self, other: Hold) -> bool:
        """Whether both are of the same sum."""
        return (self.until, self.used) == (other.until, other.used)


def lapses_at(at: datetime, span: timedelta) -> datetime:
    """Return the first instant of the grid that lies at least `span` after `at`."""
    # The finest one, doubled until the span has no more instants of it.
    times = -(-span // (MAX_INSTANTS_PER_SPAN * _FINEST))
    grid = _FINEST * (1 << max(0, times - 1).bit_length())
    return at + span + (EPOCH - (at + span)) % grid


def charge_time(at: datetime) -> datetime:
    """Return the first instant, not before `at`, at which used holds may be due."""
    return at + (EPOCH - at) % CHARGE_TIMES_APART


class Holds(NamedTuple):
    """The sums of what is reserved for calls, in the order in which they lapse or are due."""

    by_instant: tuple[Hold, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.by_instant)

    def amount_at(self, at: datetime) -> int:
        """Return how much is reserved at an instant."""
        return sum(hold.amount for hold in self.by_instant if hold.lasts_at(at))

    def calls_at(self, at: datetime) -> int:
        """Return how many calls have grants that have not lapsed at an instant."""
        return sum(hold.calls for hold in self.by_instant if not hold.used and hold.until > at)

    @property
    def last_grant_lapses_at(self) -> datetime | None:
        """When the last grant lapses, if there is one."""
        return max((hold.until for hold in self.by_instant if not hold.used), default=None)

    @property
    def used(self) -> tuple[Hold, ...]:
        """The holds of what calls have used and were not charged for yet."""
        return tuple(hold for hold in self.by_instant if hold.used)

    @property
    def charge_due_at(self) -> datetime | None:
        """When the first call is to be charged by what its bridge reported, if there is one."""
        return next((hold.until for hold in self.used), None)

    def keeps(self, hold: Hold) -> bool:
        """Whether what was reserved for a call is still contained."""
        return any(hold.adds_to(known) for known in self.by_instant)

    def lasts(self, until: datetime, at: datetime) -> bool:
        """Whether a grant until an instant has neither lapsed at `at` nor been removed."""
        return until > at and self.keeps(Hold(until, 0, 0))

    def with_added(self, hold: Hold) -> Holds:
        """Return the sums with one hold more."""
        return self._changed(hold, 1)

    def without(self, hold: Hold) -> Holds:
        """Return the sums without a hold that was added; the same if it was removed before."""
        return self._changed(hold, -1) if self.keeps(hold) else self

    def lapsed(self, at: datetime) -> Holds:
        """Return the sums that have not lapsed at an instant."""
        return Holds(tuple(hold for hold in self.by_instant if hold.lasts_at(at)))

    def _changed(self, hold: Hold, sign: int) -> Holds:
        same = [known for known in self.by_instant if hold.adds_to(known)]
        others = [known for known in self.by_instant if not hold.adds_to(known)]
        amount = sum(known.amount for known in same) + sign * hold.amount
        calls = sum(known.calls for known in same) + sign * hold.calls
        if amount or calls:
            began = [part.began_at for part in (*same, hold) if part.began_at]
            others.append(Hold(hold.until, amount, calls, hold.used, min(began, default=None)))
        return Holds(tuple(sorted(others)))


NOTHING_HELD = Holds()
