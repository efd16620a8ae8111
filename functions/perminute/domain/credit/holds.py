"""What is set aside for calls under way, and lapses by itself (RFC 8506 §5.1.1, "reservation").

However many calls hold something, what they hold is kept as sums by the instant at which it
lapses. Those instants lie on a grid that is coarser the further off they are, so there are some
ten of them for most organizations, and the account that carries them stays small. They are exact
all the same: who sets something aside chooses an instant of the grid and says so.

What a call has used, as its bridge reported, does not lapse: it is held until the call is charged,
and its instant, one of four a day, says when that is due if no `Call Ended` comes. A lot that is
bought after such a call pays it only while the lot lives: so an account also knows since when the
calls of such a sum began.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from perminute.domain.credit.lots import Lot

MAX_INSTANTS_PER_SPAN = 16
"""How fine the grid is: a span of time has at most so many instants of it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FINEST = timedelta(minutes=1)

CHARGE_TIMES_APART = timedelta(hours=6)
"""What calls have used is due to be charged at 00:00, 06:00, 12:00 or 18:00 UTC.

These sums stay in the account, which every charge writes, until the calls are charged: the more of
them, the larger the item. Usage that is reported within 72 hours makes 13 at most (full hours would
make 73), and what is due four more until the daily run has charged it. That comes right after
midnight, so no call is charged later than by full hours.
"""

CHARGED_WITHIN = timedelta(days=1, hours=1)
"""How long after it is due the daily run has charged what calls have used, at the latest."""


class Hold(NamedTuple):
    """An amount that calls hold until an instant, and how many calls these are.

    Micro-units or minutes: whose holds they are says which.
    """

    until: datetime
    amount: int
    calls: int
    used: bool = False
    """Whether calls have used it: then it does not lapse, and is due to be charged at `until`."""
    began_at: datetime | None = None
    """When the first of the calls that have used credit began, at the earliest."""

    def is_paid_by(self, lot: Lot, at: datetime) -> bool:
        """Return whether a lot pays what calls have used, whenever after `at` they are charged.

        A lot that was bought before a call pays it even after its expiry. Any other must live until
        the call is charged: by the daily run that comes after `until`, at the latest.
        """
        bought_before = self.began_at is not None and lot.purchased_at <= self.began_at
        return bought_before or lot.expires_at > max(self.until, at) + CHARGED_WITHIN

    def lasts_at(self, at: datetime) -> bool:
        """Return whether it is still held at an instant."""
        return self.used or self.until > at


NO_HOLD = Hold(_EPOCH, 0, 0)


def lapses_at(at: datetime, span: timedelta) -> datetime:
    """Choose the first instant of the grid that lies at least `span` after `at`."""
    grid = _FINEST
    while span > MAX_INSTANTS_PER_SPAN * grid:
        grid *= 2
    return at + span + (_EPOCH - (at + span)) % grid


def charge_time(at: datetime) -> datetime:
    """Return the first instant that is not before `at` and at which used holds may be due."""
    return at + (_EPOCH - at) % CHARGE_TIMES_APART


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held, by the instant at which it lapses or is due, the earliest first."""

    by_instant: tuple[Hold, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is kept here, even if it has lapsed."""
        return bool(self.by_instant)

    def amount_at(self, at: datetime) -> int:
        """Add up what is held at an instant; what lapses then is no longer."""
        return sum(hold.amount for hold in self.by_instant if hold.lasts_at(at))

    def calls_at(self, at: datetime) -> int:
        """Count the calls whose grants have not lapsed at an instant."""
        return sum(hold.calls for hold in self.by_instant if not hold.used and hold.until > at)

    @property
    def last_grant_lapses_at(self) -> datetime | None:
        """Return when the last of what is granted lapses, if anything is."""
        return max((hold.until for hold in self.by_instant if not hold.used), default=None)

    @property
    def used(self) -> tuple[Hold, ...]:
        """Return what calls have used and are not charged for yet."""
        return tuple(hold for hold in self.by_instant if hold.used)

    @property
    def charge_due_at(self) -> datetime | None:
        """Return when the first call is to be charged by what its bridge reported, if any is."""
        return next((hold.until for hold in self.used), None)

    def keeps(self, hold: Hold) -> bool:
        """Whether what a call has set aside is still in here."""
        return any(_same_sum(one, hold) for one in self.by_instant)

    def lasts(self, until: datetime, at: datetime) -> bool:
        """Return whether anything that lapses at an instant is held at `at`, and not forgotten."""
        return until > at and any(one.until == until and not one.used for one in self.by_instant)

    def with_added(self, hold: Hold) -> Holds:
        """Set something aside."""
        return self._changed(hold, 1)

    def without(self, hold: Hold) -> Holds:
        """Give back what a call has set aside; nothing if that has gone already."""
        return self._changed(hold, -1) if self.keeps(hold) else self

    def lapsed(self, at: datetime) -> Holds:
        """Forget what has lapsed by an instant."""
        return Holds(tuple(hold for hold in self.by_instant if hold.lasts_at(at)))

    def _changed(self, hold: Hold, sign: int) -> Holds:
        known = next((one for one in self.by_instant if _same_sum(one, hold)), None)
        amount, calls = (known.amount, known.calls) if known else (0, 0)
        began = [one.began_at for one in (known, hold) if one is not None and one.began_at]
        changed = hold._replace(
            amount=amount + sign * hold.amount,
            calls=calls + sign * hold.calls,
            began_at=min(began, default=None),
        )
        others = [one for one in self.by_instant if one is not known]
        if changed.amount or changed.calls:
            others.append(changed)
        return Holds(tuple(sorted(others)))


def _same_sum(one: Hold, other: Hold) -> bool:
    return (one.until, one.used) == (other.until, other.used)


NOTHING_HELD = Holds()
