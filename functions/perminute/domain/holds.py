"""What is set aside for calls under way, and lapses by itself (RFC 8506 §5.1.1, "reservation").

However many calls hold something, what they hold is kept as sums by the instant at which it
lapses. Those instants lie on a grid that is coarser the further off they are, so there are some
ten of them for most organizations, and the account that carries them stays small. They are exact
all the same: who sets something aside chooses an instant of the grid and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

MAX_INSTANTS_PER_SPAN = 16
"""How fine the grid is: a span of time has at most so many instants of it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FINEST = timedelta(minutes=1)


class Hold(NamedTuple):
    """An amount that calls hold until an instant, and how many calls these are.

    Micro-units or minutes: whose holds they are says which.
    """

    until: datetime
    amount: int
    calls: int


NO_HOLD = Hold(_EPOCH, 0, 0)


def lapses_at(at: datetime, span: timedelta) -> datetime:
    """Choose the first instant of the grid that lies at least `span` after `at`."""
    grid = _FINEST
    while span > MAX_INSTANTS_PER_SPAN * grid:
        grid *= 2
    return at + span + (_EPOCH - (at + span)) % grid


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held, by the instant at which it lapses, the earliest first."""

    by_instant: tuple[Hold, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is kept here, even if it has lapsed."""
        return bool(self.by_instant)

    def amount_at(self, at: datetime) -> int:
        """Add up what is held at an instant; what lapses then is no longer."""
        return sum(hold.amount for hold in self.by_instant if hold.until > at)

    def calls_at(self, at: datetime) -> int:
        """Count the calls that hold something at an instant."""
        return sum(hold.calls for hold in self.by_instant if hold.until > at)

    @property
    def last_instant(self) -> datetime | None:
        """Tell when the last of it lapses."""
        return self.by_instant[-1].until if self.by_instant else None

    def keeps(self, hold: Hold) -> bool:
        """Whether what a call has set aside is still in here."""
        return any(one.until == hold.until for one in self.by_instant)

    def with_added(self, hold: Hold) -> Holds:
        """Set something aside."""
        return self._changed(hold, 1)

    def without(self, hold: Hold) -> Holds:
        """Give back what a call has set aside; nothing if that has gone already."""
        return self._changed(hold, -1) if self.keeps(hold) else self

    def lapsed(self, at: datetime) -> Holds:
        """Forget what has lapsed by an instant."""
        return Holds(tuple(hold for hold in self.by_instant if hold.until > at))

    def _changed(self, hold: Hold, sign: int) -> Holds:
        known = next((one for one in self.by_instant if one.until == hold.until), None)
        amount, calls = (known.amount, known.calls) if known else (0, 0)
        changed = Hold(hold.until, amount + sign * hold.amount, calls + sign * hold.calls)
        others = [one for one in self.by_instant if one is not known]
        if changed.amount or changed.calls:
            others.append(changed)
        return Holds(tuple(sorted(others)))


NOTHING_HELD = Holds()
