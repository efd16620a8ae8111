"""The minute pool of subscriptions: which call draws how much, in which order (docs/domain.md §4).

A pool belongs to an organization and the UTC month in which a call was answered. Its minutes follow
the licenses at that instant. Calls draw in the order in which they ended, whatever the order of
delivery.

A call that is delivered in order draws when it is charged. One that comes late draws at once too,
if that cannot change what later calls got. If it can, the pool is marked as unsettled from there
on, and those calls are gone through again, in order, as far as any of them can get another number
of minutes (`settling`).

Minutes that an authorized call has reserved are its own, whichever call ends first: others draw
from what is left beside them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.holds import NOTHING_HELD, Hold, Holds
from perminute.domain.rating.calls import MAX_CALL_SECONDS, Call
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.domain.licensing.licensing import Licensing

THRESHOLDS = (80, 100)  # percent of a pool's use that admins are notified of (docs/domain.md §4.3)

LONGEST_CALL = timedelta(seconds=MAX_CALL_SECONDS)

_INSTANT = timedelta(microseconds=1)
_NOTHING_USED: Mapping[date, int] = MappingProxyType({})


class DrawPosition(NamedTuple):
    """The place of a call in the order in which calls draw: their ids break ties."""

    ended_at: datetime
    call_id: str

    @classmethod
    def of(cls, call: Call) -> DrawPosition:
        """Return the place of a call."""
        return cls(call.ended_at, call.call_id)

    @classmethod
    def start_of(cls, day: date) -> DrawPosition:
        """Return the place before all calls that end on a day: no call's id is empty."""
        return cls(datetime.combine(day, time.min, UTC), "")

    @property
    def day(self) -> date:
        """The day whose minutes the call draws."""
        return self.ended_at.date()


class SettlementCursor(NamedTuple):
    """The place up to which a pool is settled, and what calls of its day have drawn up to there."""

    position: DrawPosition
    minutes_of_day: int = 0
    reserved_of_day: int = 0  # those of `minutes_of_day` that calls had reserved


class SettlementScope(NamedTuple):
    """How far an unsettled pool must be gone through."""

    # Calls after this place drew in order: their minutes depend only on the sum drawn before.
    until: DrawPosition
    more: int = 0  # by how much that sum is larger now than when they drew; negative if smaller
    drawn_until: DrawPosition | None = None  # no call after this place has drawn any minutes


class Month(NamedTuple):
    """A UTC month: the half-open interval that a pool is for."""

    year: int
    month: int

    @classmethod
    def of(cls, at: datetime) -> Month:
        """Return the month of an instant."""
        return cls(at.year, at.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read a month as `str` writes it."""
        year, _, month = text.partition("-")
        return cls(int(year), int(month))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def start(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        years, month = divmod(self.month, 12)
        return datetime(self.year + years, month + 1, 1, tzinfo=UTC)

    def clamp(self, at: datetime) -> datetime:
        """Return the instant of the month that is nearest to `at`."""
        return min(max(at, self.start), self.end - _INSTANT)

    @property
    def last_day(self) -> date:
        """The last day on which a call that was answered in it can have ended."""
        return (self.end + LONGEST_CALL).date()


class MinutePool(NamedTuple):
    """What calls have drawn from the pool of one month."""

    organization_id: str
    month: Month
    # Minutes drawn, by the day on which the calls ended.
    used_by_day: Mapping[date, int] = _NOTHING_USED
    # Those of them that the calls had reserved.
    reserved_by_day: Mapping[date, int] = _NOTHING_USED
    held: Holds = NOTHING_HELD  # minutes that calls under way have reserved
    drawn_until: DrawPosition | None = None  # no call after this place has drawn any minutes
    # After this place calls may have more or fewer minutes than are theirs; None, none has.
    unsettled: SettlementCursor | None = None
    # How far an unsettled pool must be gone through; None, to the end of the month.
    scope: SettlementScope | None = None
    # Settling reads the calls first, and decides later. What it read holds as long as this count
    # stays the same, for the calls before `drawn_from`: a busy organization would never be settled
    # if each of its charges had the calls read again.
    step_count: int = 0
    # The first place at which a call drew, or began to draw, since they were to be read again.
    drawn_from: DrawPosition | None = None
    notified_percent: int = 0  # the highest threshold that admins were notified of

    @property
    def used(self) -> int:
        """Minutes drawn in all."""
        return sum(self.used_by_day.values())

    def left_at(self, at: datetime, minutes: int) -> int:
        """Return those of `minutes` that no call has drawn or reserved; negative if short."""
        return minutes - self.used - self.held.amount_at(at)

    def draw(
        self, call: Call, wanted: int, licensing: Licensing, *, reserved: int | None, now: datetime
    ) -> tuple[MinutePool, int]:
        """Draw up to `wanted` minutes for a call that is charged now; return how many those are."""
        # What the call had `reserved` (None if it was not authorized) is no longer held, and is its
        # own. So is whatever else an authorized call draws, because the credit that it had reserved
        # is given back.
        position = DrawPosition.of(call)
        minutes = licensing.pool_minutes_for_calls(answered_at(call))
        taken = self._share(wanted, reserved or 0, minutes, now)
        pool = self.with_drawn(position, taken, 0 if reserved is None else taken)
        if self.unsettled is None:
            is_next = self.drawn_until is None or position > self.drawn_until
            if is_next or (taken == wanted and self._is_ample(position, wanted, licensing)):
                return pool, taken
        elif self.scope is not None:
            until, more, last = self.scope
            is_next = position > max(until, self.unsettled.position, last or until)
            if is_next and taken == self._share(wanted, reserved or 0, minutes + more, now):
                # Settling will give it as many: it need not go further than before.
                return pool._replace(drawn_from=min(self.drawn_from or position, position)), taken
        return pool.unsettled_from(position, taken), taken

    def _share(self, wanted: int, reserved: int, minutes: int, now: datetime) -> int:
        left = minutes - self.used
        return min(wanted, max(0, min(reserved, left), left - self.held.amount_at(now)))

    def with_drawn(self, position: DrawPosition, minutes: int, reserved: int = 0) -> MinutePool:
        """Count minutes that a call draws, and those of them that it had reserved."""
        if minutes == 0 and reserved == 0:
            return self
        drawn_until, scope = self.drawn_until, self.scope
        if minutes:
            drawn_until = max(drawn_until or position, position)
            if scope is not None:
                scope = scope._replace(drawn_until=max(scope.drawn_until or position, position))
        return self._replace(
            scope=scope,
            used_by_day=added(self.used_by_day, {position.day: minutes}),
            reserved_by_day=added(self.reserved_by_day, {position.day: reserved}),
            drawn_until=drawn_until,
        )

    def with_held(self, hold: Hold, at: datetime) -> MinutePool:
        """Reserve minutes for a call under way; forget what has lapsed by then."""
        return self._replace(held=self.held.lapsed(at).with_added(hold))

    def without_held(self, hold: Hold) -> MinutePool:
        """Release what a call has reserved."""
        return self._replace(held=self.held.without(hold))

    def unsettled_from(self, position: DrawPosition, more: int = 0) -> MinutePool:
        """Mark that calls from the start of a day on may not have the minutes that are theirs."""
        # The call at `position` has just drawn `more` minutes, which are counted already.
        pool = self.with_scope_to(position, more)
        if self.unsettled is not None:
            if self.unsettled.position < position:
                # A settlement may have read this call before it began to draw.
                return pool._replace(drawn_from=min(self.drawn_from or position, position))
            # Calls up to where it was settled have got other minutes than before.
            pool = pool.with_scope_to(self.unsettled.position)
        return pool._replace(unsettled=SettlementCursor(DrawPosition.start_of(position.day)))

    def with_scope_to(self, position: DrawPosition, more: int = 0) -> MinutePool:
        """Have the pool settled at least up to a call, which has drawn `more` minutes."""
        if self.unsettled is None:
            return self._replace(scope=SettlementScope(position, more, self.drawn_until))
        if self.scope is None:
            return self
        until, before, last = self.scope
        return self._replace(scope=SettlementScope(max(until, position), before + more, last))

    def _is_ample(self, position: DrawPosition, wanted: int, licensing: Licensing) -> bool:
        # Every later call has had enough as well. None was answered more than a call's length
        # before this one ended, or after the last that drew has ended.
        since = self.month.clamp(position.ended_at - LONGEST_CALL)
        until = self.drawn_until.ended_at if self.drawn_until is not None else since
        until = max(since, self.month.clamp(until)) + _INSTANT
        return self.used + wanted <= licensing.fewest_pool_minutes(since, until)

    def at_next_step(self) -> MinutePool:
        """Note that it was settled further: what others have read to do so is out of date."""
        return self._replace(step_count=self.step_count + 1)

    def is_at_step_of(self, read: MinutePool) -> bool:
        """Whether it has been settled no further since it was read."""
        return (self.unsettled, self.step_count) == (read.unsettled, read.step_count)

    def was_drawn_on_before(self, last: DrawPosition) -> bool:
        """Whether calls up to a place may be others than those that were read at this step."""
        return self.drawn_from is not None and self.drawn_from <= last

    def is_unsettled_at(self, position: DrawPosition) -> bool:
        """Whether what a call at a place has drawn may still change."""
        return self.unsettled is not None and self.unsettled.position < position

    def threshold_reached(self, minutes: int, used_before: int = 0) -> int:
        """Return the highest threshold that is reached, in percent (docs/domain.md §4.3)."""
        # `used_before` were used in another system: they count, as admins saw them there.
        used = self.used + used_before
        if minutes == 0:
            return max(THRESHOLDS) if used else 0
        return max((p for p in THRESHOLDS if p * minutes <= 100 * used), default=0)


class PoolStep(StrEnum):
    """What the writing of an unsettled pool asks for: nothing that only draws on it asks again."""

    FIRST = "first"  # it has become unsettled
    NEXT = "next"  # it was settled one step further, or from an earlier place


def added(by_day: Mapping[date, int], more: Mapping[date, int]) -> Mapping[date, int]:
    """Add minutes by day; days without any are left out."""
    if not any(more.values()):
        return by_day
    total = dict(by_day)
    for day, minutes in more.items():
        total[day] = total.get(day, 0) + minutes
        if not total[day]:
            del total[day]
    return total


class MinutePools:
    """The pools of an organization while one transaction is decided."""

    def __init__(self, pools: Mapping[Month, MinutePool], licensing: Licensing) -> None:
        """Begin with the pools as they were read; `licensing` says how many minutes they have."""
        self._before = pools
        self.licensing = licensing
        self._pools = dict(pools)
        self._touched: set[Month] = set()

    def __getitem__(self, month: Month) -> MinutePool:
        """Return a pool as it is by now."""
        return self._pools[month]

    def draw(self, call: Call, wanted: int, *, reserved: int | None, now: datetime) -> int:
        """Draw up to `wanted` minutes for a call, as `MinutePool.draw` does."""
        pool = self._pools[month_of(call)]
        pool, taken = pool.draw(call, wanted, self.licensing, reserved=reserved, now=now)
        self.put(pool)
        return taken

    def release(self, month: Month, hold: Hold, now: datetime) -> int:
        """Release what a call has reserved; return how many minutes were its own until now."""
        pool = self._pools[month]
        if not pool.held.keeps(hold):
            return 0
        self.put(pool.without_held(hold))
        return hold.amount if hold.lasts_at(now) else 0

    def give_back(self, call: Call, minutes: int, reserved: int) -> None:
        """Give back what a call has drawn that turns out to be another; others may get it."""
        position = DrawPosition.of(call)
        pool = self._pools[month_of(call)].with_drawn(position, -minutes, -reserved)
        self.put(pool.unsettled_from(position, -minutes))

    def put(self, pool: MinutePool) -> None:
        """Replace a pool, and have it written even if it is the same."""
        # A settlement that runs meanwhile has not seen a call that found nothing left.
        self._pools[pool.month] = pool
        self._touched.add(pool.month)

    def unsettle(self, call: Call) -> None:
        """Mark the pool of a call as unsettled from the call on."""
        self.put(self._pools[month_of(call)].unsettled_from(DrawPosition.of(call)))

    def extend_scope_to(self, call: Call) -> None:
        """Have the unsettled pool of a call settled at least up to this call."""
        self.put(self._pools[month_of(call)].with_scope_to(DrawPosition.of(call)))

    def may_change(self, call: Call) -> bool:
        """Whether the minutes of a call may change; they do not if its pool was not read."""
        pool = self._pools.get(month_of(call))
        return pool is not None and pool.is_unsettled_at(DrawPosition.of(call))

    def thresholds_reached(self, at: datetime) -> Iterator[tuple[MinutePool, int, int]]:
        """Yield each settled pool that has reached a new threshold, the threshold, its minutes."""
        # A threshold that the licenses at `at` put out of reach is notified again.
        for month in sorted(self._touched):
            pool = self._pools[month]
            if pool.unsettled is not None:
                continue
            minutes = self.licensing.pool_minutes(month.clamp(at))
            used_before = self.licensing.pool_minutes_used(month.start)
            reached = pool.threshold_reached(minutes, used_before)
            before = self._before[month].threshold_reached(minutes, used_before)
            notified = min(pool.notified_percent, before)
            self._pools[month] = pool._replace(notified_percent=reached)
            for percent in THRESHOLDS:
                if notified < percent <= reached:
                    yield pool, percent, minutes

    @property
    def steps(self) -> Mapping[Month, PoolStep]:
        """Which of the pools that are to be written ask for a step of settling, and which one."""
        steps: dict[Month, PoolStep] = {}
        for pool in self.touched:
            before = self._before[pool.month]
            if pool.unsettled is not None and before.unsettled is None:
                steps[pool.month] = PoolStep.FIRST
            elif pool.unsettled is not None and not pool.is_at_step_of(before):
                steps[pool.month] = PoolStep.NEXT
        return steps

    @property
    def touched(self) -> tuple[MinutePool, ...]:
        """The pools that have changed and must be written."""
        return tuple(self._pools[month] for month in sorted(self._touched))


def month_of(call: Call) -> Month:
    """Return the month whose pool a call draws on: that in which it was answered."""
    return Month.of(answered_at(call))


def minutes_wanted(call: Call) -> int:
    """Count the minutes of a call, a started one in full (docs/domain.md §2.2)."""
    return -(-call.connected_seconds // SECONDS_PER_MINUTE)


def answered_at(call: Call) -> datetime:
    """Return when a call was answered that draws on a pool."""
    if call.answered_at is None:
        msg = f"call {call.call_id} was never answered and draws nothing"
        raise ValueError(msg)
    return call.answered_at
