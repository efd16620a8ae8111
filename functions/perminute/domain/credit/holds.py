"""What is reserved for calls under way, and lapses by itself (RFC 8506 §5.1.1, "reservation").

However many calls hold something, it is stored as sums by the instant at which they lapse. These
instants lie on a grid that is coarser the further off they are, so most organizations have some
ten of them, and the account item stays small. The sums are exact all the same: a call chooses an
instant of the grid.

What a call has used, as its bridge reported, does not lapse: it is held until the call is charged.
Its instant, one of four a day, is when that is due if no `Call Ended` comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from perminute.domain.credit.lots import Lot

MAX_INSTANTS_PER_SPAN = 16
"""The grid has at most so many instants within a span of time."""

CHARGE_TIMES_APART = timedelta(hours=6)
"""What calls have used is due to be charged at 00:00, 06:00, 12:00 or 18:00 UTC.

These sums stay in the account item until the calls are charged, so the fewer the better: usage
that is reported within 72 hours makes 13 at most (full hours would make 73), and what is due four
more until the daily run has charged it. That comes right after midnight, so no call is charged
later than by full hours.
"""

CHARGED_WITHIN = timedelta(days=1, hours=1)
"""How long after it is due the daily run has charged what calls have used, at the latest."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FINEST = timedelta(minutes=1)


class Hold(NamedTuple):
    """An amount, in micro-units or minutes, that calls hold until an instant."""

    until: datetime
    amount: int
    calls: int
    # Calls have used it: it does not lapse, and is due to be charged at `until`.
    used: bool = False
    # When the first of the calls that have used credit began, at the earliest.
    began_at: datetime | None = None

    def is_paid_by(self, lot: Lot, at: datetime) -> bool:
        """Whether a lot pays what calls have used, whenever after `at` they are charged.

        A lot that was bought before a call pays it even after its expiry. Any other must live until
        the call is charged: by the daily run that comes after `until`, at the latest.
        """
        bought_before = self.began_at is not None and lot.purchased_at <= self.began_at
        return bought_before or lot.expires_at > max(self.until, at) + CHARGED_WITHIN

    def lasts_at(self, at: datetime) -> bool:
        """Whether it is still held at an instant; what lapses then is not."""
        return self.used or self.until > at

    def adds_to(self, other: Hold) -> bool:
        """Whether both are of the same sum."""
        return (self.until, self.used) == (other.until, other.used)


def lapses_at(at: datetime, span: timedelta) -> datetime:
    """Return the first instant of the grid that lies at least `span` after `at`."""
    grid = _FINEST
    while span > MAX_INSTANTS_PER_SPAN * grid:
        grid *= 2
    return at + span + (_EPOCH - (at + span)) % grid


def charge_time(at: datetime) -> datetime:
    """Return the first instant that is not before `at` and at which used holds may be due."""
    return at + (_EPOCH - at) % CHARGE_TIMES_APART


@dataclass(frozen=True, slots=True)
class Holds:
    """The sums of what calls hold, the one that lapses or is due first in front."""

    by_instant: tuple[Hold, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.by_instant)

    def amount_at(self, at: datetime) -> int:
        """Return how much is held at an instant."""
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
        """What calls have used and are not charged for yet."""
        return tuple(hold for hold in self.by_instant if hold.used)

    @property
    def charge_due_at(self) -> datetime | None:
        """When the first call is to be charged by what its bridge reported, if one is."""
        return next((hold.until for hold in self.used), None)

    def keeps(self, hold: Hold) -> bool:
        """Whether what a call has reserved is still in here."""
        return any(hold.adds_to(known) for known in self.by_instant)

    def lasts(self, until: datetime, at: datetime) -> bool:
        """Whether a grant until an instant is held at `at`, and not removed."""
        return until > at and self.keeps(Hold(until, 0, 0))

    def with_added(self, hold: Hold) -> Holds:
        """Return the sums with a further hold."""
        return self._changed(hold, 1)

    def without(self, hold: Hold) -> Holds:
        """Return the sums without a hold that was added; the same if it has gone already."""
        return self._changed(hold, -1) if self.keeps(hold) else self

    def lapsed(self, at: datetime) -> Holds:
        """Return the sums without those that have lapsed by an instant."""
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
