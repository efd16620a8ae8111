"""The minute pool of subscriptions: who draws how much of it, in which order (docs/domain.md §4).

A pool belongs to an organization and a UTC month, that in which a call was answered. Its minutes
are those of the licenses at the instant of the answer, so they change when the licenses do. Calls
draw from it in the order in which they ended, their ids breaking ties: that order is theirs
whatever the order of delivery, and so is what each of them gets.

Calls mostly arrive in that order, and then each draws when it is charged. One that comes late is
given its minutes at once too, if that cannot change what later calls got. If it can, the pool is
marked as unsettled from there on, and those calls are gone over again, in order (`settled`), as far
as any of them can get another number of minutes (`Disturbance`).

A call that was authorized may have minutes reserved. Those are its own, whichever call ends
first: others draw from what is left beside them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.holds import NOTHING_HELD, Hold, Holds
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.rating.calls import Call

THRESHOLDS = (80, 100)
"""Percent of a pool's use that are worth telling (docs/domain.md §4.3)."""

_LONGEST_CALL = timedelta(seconds=MAX_CALL_SECONDS)
_INSTANT = timedelta(microseconds=1)
_NOTHING_USED: Mapping[date, int] = MappingProxyType({})


class Position(NamedTuple):
    """The place of a call in the order in which calls draw."""

    ended_at: datetime
    call_id: str

    @classmethod
    def of(cls, call: Call) -> Position:
        """Tell where a call stands."""
        return cls(call.ended_at, call.call_id)

    @classmethod
    def start_of(cls, day: date) -> Position:
        """Tell the place before all calls that end on a day: no call's id is empty."""
        return cls(datetime.combine(day, time.min, UTC), "")


class Cursor(NamedTuple):
    """Where a pool is settled up to: that place included, whose day has given so many minutes.

    `reserved_of_day` are those of them that calls had reserved.
    """

    position: Position
    minutes_of_day: int = 0
    reserved_of_day: int = 0


class Disturbance(NamedTuple):
    """What is known of how far an unsettled pool must be gone over.

    Calls after `until` got their minutes in order. So what they got can differ from what is theirs
    only if calls before them have drawn more or fewer minutes since: by now `more` in all (negative
    if fewer). No call after `last` has drawn any.
    """

    until: Position
    more: int = 0
    last: Position | None = None


class Month(NamedTuple):
    """A UTC month: the half-open interval that a pool is for."""

    year: int
    month: int

    @classmethod
    def of(cls, at: datetime) -> Month:
        """Tell the month of an instant."""
        return cls(at.year, at.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read it as it is written."""
        year, _, month = text.partition("-")
        return cls(int(year), int(month))

    def __str__(self) -> str:
        """Write it so that text sorts as time does."""
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

    def nearest(self, at: datetime) -> datetime:
        """Give the instant of the month that lies nearest to `at`."""
        return min(max(at, self.start), self.end - _INSTANT)

    @property
    def last_day(self) -> date:
        """The last day on which a call that was answered in it can have ended."""
        return (self.end + _LONGEST_CALL).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class MinutePool:
    """What calls have drawn from the pool of one month.

    `used_by_day` counts the minutes by the day on which the calls ended, and `reserved_by_day`
    those of them that calls had reserved before; `held` is what calls under way have reserved. No
    call after `bound` has drawn any. `unsettled` says from where on calls may not have what is
    theirs; None, they have. `told` is the highest threshold that admins know of.

    Whoever settles a pool reads its calls first and decides after. `drawn_from` is the first place
    at which a call has drawn, or begun to draw, since `steps` was counted up last: what was read
    under the same count still holds for all calls before that place. `disturbed` says how far it
    must go; None, to the end of the month.
    """

    organization_id: str
    month: Month
    used_by_day: Mapping[date, int] = field(default_factory=lambda: _NOTHING_USED)
    reserved_by_day: Mapping[date, int] = field(default_factory=lambda: _NOTHING_USED)
    held: Holds = NOTHING_HELD
    bound: Position | None = None
    unsettled: Cursor | None = None
    drawn_from: Position | None = None
    disturbed: Disturbance | None = None
    steps: int = 0
    told: int = 0

    @property
    def used(self) -> int:
        """Minutes drawn in all."""
        return sum(self.used_by_day.values())

    def used_before(self, cursor: Cursor) -> int:
        """Minutes drawn by the calls up to a cursor."""
        return cursor.minutes_of_day + _before(cursor, self.used_by_day)

    def reserved_after(self, cursor: Cursor) -> int:
        """Minutes that calls after a cursor had reserved, and drew."""
        until = cursor.reserved_of_day + _before(cursor, self.reserved_by_day)
        return sum(self.reserved_by_day.values()) - until

    def left_at(self, at: datetime, minutes: int) -> int:
        """Of so many minutes in all, those that nobody has drawn or reserved; negative if short."""
        return minutes - self.used - self.held.amount_at(at)

    def draw(
        self,
        call: Call,
        wanted: int,
        licensing: Licensing,
        *,
        reserved: int | None,
        now: datetime,
    ) -> tuple[MinutePool, int]:
        """Give a call that is charged now what it may have of `wanted` minutes.

        What it had `reserved` is no longer held, and is its own; so is whatever else a call is
        given that was authorized at all, since what it had reserved of the credit is given back.
        None, it was not. What is given is final if no call after it has drawn, since then it is
        the next in order; or if there is enough for all. Else the day of the call is to be gone
        over again; or, if it is unsettled already and the call is the next in order and would get
        the same when it is settled, at least nothing more than before.
        """
        position = Position.of(call)
        minutes = licensing.pool_minutes_for_calls(_answered(call))
        own = min(reserved or 0, minutes - self.used)
        left = self.left_at(now, minutes)
        taken = min(wanted, max(0, own, left))
        pool = self.with_drawn(position, taken, 0 if reserved is None else taken)
        if self.unsettled is None and (self.bound is None or position > self.bound):
            return pool, taken
        if (
            self.unsettled is None
            and taken == wanted
            and self._is_ample(position, wanted, licensing)
        ):
            return pool, taken
        if self.disturbed is not None and self._is_next(position):
            more = self.disturbed.more
            own = min(reserved or 0, minutes - self.used + more)
            if taken == min(wanted, max(0, own, left + more)):
                return pool.with_drawn_from(position), taken
        return pool.unsettled_from(position, taken), taken

    def with_drawn(self, position: Position, minutes: int, reserved: int = 0) -> MinutePool:
        """Count minutes that a call draws, and those of them that it had reserved."""
        if minutes == 0 and reserved == 0:
            return self
        day = position.ended_at.date()
        bound, disturbed = self.bound, self.disturbed
        if minutes:
            bound = position if bound is None else max(bound, position)
            if disturbed is not None:
                last = max(disturbed.last or position, position)
                disturbed = disturbed._replace(last=last)
        return replace(
            self,
            disturbed=disturbed,
            used_by_day=_counted(self.used_by_day, {day: minutes}),
            reserved_by_day=_counted(self.reserved_by_day, {day: reserved}),
            bound=bound,
        )

    def with_held(self, hold: Hold, at: datetime) -> MinutePool:
        """Reserve minutes for a call under way; what has lapsed by then is forgotten."""
        return replace(self, held=self.held.lapsed(at).with_added(hold))

    def without_held(self, hold: Hold) -> MinutePool:
        """Give back what a call has reserved."""
        return replace(self, held=self.held.without(hold))

    def unsettled_from(self, position: Position, more: int = 0) -> MinutePool:
        """Mark that calls from a place on may not have what is theirs, from that day's start on.

        The call there has just drawn so many minutes `more`, which are counted already. Where the
        pool is unsettled before that place, whoever settles must hear of the call, which it may
        have read before the call began to draw.
        """
        pool = self._disturbed_at(position, more)
        if self.unsettled is not None:
            if self.unsettled.position < position:
                return pool.with_drawn_from(position)
            # Calls up to where it was settled have got other minutes than before.
            pool = pool.settled_no_earlier_than(self.unsettled.position)
        return replace(pool, unsettled=Cursor(Position.start_of(position.ended_at.date())))

    def unsettled_for_all_from(self, position: Position) -> MinutePool:
        """Mark that no call from a place on may have what is theirs, to the end of the month."""
        return replace(self.unsettled_from(position), disturbed=None)

    def with_visit(self, position: Position) -> MinutePool:
        """Have the call at a place gone over before an unsettled pool is settled."""
        return self if self.unsettled is None else self._disturbed_at(position, 0)

    def _disturbed_at(self, position: Position, more: int) -> MinutePool:
        if self.unsettled is None:
            return replace(self, disturbed=Disturbance(position, more, self.bound))
        if self.disturbed is None:
            return self
        until, before, last = self.disturbed
        return replace(self, disturbed=Disturbance(max(until, position), before + more, last))

    def settled_no_earlier_than(self, position: Position) -> MinutePool:
        """Have all calls up to a place gone over before the rest may stay as it is."""
        if self.disturbed is None:
            return self
        until = max(self.disturbed.until, position)
        return replace(self, disturbed=self.disturbed._replace(until=until))

    def with_drawn_from(self, position: Position) -> MinutePool:
        """Note that a call has drawn, or begun to draw, which may not have been read."""
        first = position if self.drawn_from is None else min(self.drawn_from, position)
        return replace(self, drawn_from=first)

    def _is_next(self, position: Position) -> bool:
        """Whether a call comes after all that have drawn, and after all that must be gone over."""
        if self.unsettled is None or self.disturbed is None:
            return False
        until, _, last = self.disturbed
        return position > max(until, self.unsettled.position, last or until)

    def settled(
        self, drawings: Sequence[Drawing], licensing: Licensing, now: datetime
    ) -> tuple[MinutePool, tuple[int, ...]]:
        """Give each of the next calls after the cursor what is theirs, and move the cursor on."""
        if self.unsettled is None:
            msg = f"the pool of {self.organization_id} for {self.month} is settled"
            raise ValueError(msg)
        position, of_day, reserved_of_day = self.unsettled
        disturbed = self.disturbed
        used, spoken_for = self.used_before(self.unsettled), self.reserved_after(self.unsettled)
        held = self.held.amount_at(now)
        used_by_day, reserved_by_day = Counter[date](), Counter[date]()
        bound = position if self.bound is None else min(self.bound, position)
        taken: list[int] = []
        for call, had, wanted, reserved in drawings:
            day, place = call.ended_at.date(), Position.of(call)
            if day != position.ended_at.date():
                of_day = reserved_of_day = 0
            spoken_for -= reserved
            left = licensing.pool_minutes_for_calls(_answered(call)) - used
            own = min(reserved, wanted)
            minutes = min(wanted, max(0, min(own, left), left - spoken_for - held))
            used += minutes
            of_day, reserved_of_day = of_day + minutes, reserved_of_day + own
            used_by_day[day] += minutes - had
            if disturbed is not None:
                disturbed = disturbed._replace(more=disturbed.more + minutes - had)
            reserved_by_day[day] += own - reserved
            position, bound = place, place if minutes else bound
            taken.append(minutes)
        pool = replace(
            self,
            used_by_day=_counted(self.used_by_day, used_by_day),
            reserved_by_day=_counted(self.reserved_by_day, reserved_by_day),
            bound=bound,
            disturbed=disturbed,
            unsettled=Cursor(position, of_day, reserved_of_day),
        )
        return pool.read_again(), tuple(taken)

    def settled_past(self, position: Position) -> MinutePool:
        """Move the cursor on within its day, past calls that have turned out to end elsewhere."""
        if self.unsettled is None or self.unsettled.position >= position:
            return self
        return replace(self, unsettled=self.unsettled._replace(position=position))

    def read_again(self) -> MinutePool:
        """Have whoever settles it read its calls anew: what was read before is out of date."""
        return replace(self, drawn_from=None, steps=self.steps + 1)

    def settled_until(self, day: date) -> MinutePool:
        """Move the cursor to the start of a day, before which no call is left; or be done."""
        if day > self.month.last_day:
            return replace(self.read_again(), unsettled=None, disturbed=None)
        return replace(self.read_again(), unsettled=Cursor(Position.start_of(day)))

    def is_at_step_of(self, read: MinutePool) -> bool:
        """Whether nobody else has settled it further since it was read."""
        return (self.unsettled, self.steps) == (read.unsettled, read.steps)

    def was_drawn_on_before(self, last: Position) -> bool:
        """Whether calls up to a place may be others than those that were read at this step.

        A call that draws meanwhile is nearly always a later one.
        """
        return self.drawn_from is not None and self.drawn_from <= last

    def _is_ample(self, position: Position, wanted: int, licensing: Licensing) -> bool:
        """Whether a call can have all it wants and every later one still has had enough.

        A later one ended later, so it cannot have been answered more than a call's length before;
        and no later than the last that drew ended.
        """
        since = self.month.nearest(position.ended_at - _LONGEST_CALL)
        until = self.bound.ended_at if self.bound is not None else since
        until = max(since, self.month.nearest(until)) + _INSTANT
        return self.used + wanted <= licensing.fewest_pool_minutes(since, until)

    def is_unsettled_at(self, position: Position) -> bool:
        """Whether what a call at a place has drawn may still change."""
        return self.unsettled is not None and self.unsettled.position < position

    def level(self, minutes: int, used_before: int = 0) -> int:
        """Tell the highest threshold that is reached while the pool has so many minutes.

        `used_before` were used in another system: they count, as admins saw them there.
        """
        used = self.used + used_before
        if minutes == 0:
            return max(THRESHOLDS) if used else 0
        return max((p for p in THRESHOLDS if p * minutes <= 100 * used), default=0)


class PoolStep(StrEnum):
    """What the writing of an unsettled pool asks for: nothing that only draws on it asks again."""

    FIRST = "first"
    """It has become unsettled."""
    NEXT = "next"
    """It was settled one step further, or from an earlier place."""


class Drawing(NamedTuple):
    """A call that draws from a pool, what it had until now, what it wants, and had reserved."""

    call: Call
    had: int
    wanted: int
    reserved: int = 0


def _before(cursor: Cursor, by_day: Mapping[date, int]) -> int:
    day = cursor.position.ended_at.date()
    return sum(minutes for other, minutes in by_day.items() if other < day)


def _counted(by_day: Mapping[date, int], more: Mapping[date, int]) -> Mapping[date, int]:
    """Add minutes to those of the same days; days without any are left out."""
    total = Counter(by_day)
    for day, minutes in more.items():
        total[day] += minutes
    return {day: minutes for day, minutes in total.items() if minutes}


class Pools:
    """The pools of an organization while one booking is made."""

    def __init__(self, pools: Mapping[Month, MinutePool], licensing: Licensing) -> None:
        """Open them as they were read; the licensing says how many minutes they have."""
        self._before = pools
        self.licensing = licensing
        self._pools = dict(pools)
        self._touched: set[Month] = set()

    def __getitem__(self, month: Month) -> MinutePool:
        """Give a pool as it stands."""
        return self._pools[month]

    def draw(self, call: Call, wanted: int, *, reserved: int | None, now: datetime) -> int:
        """Give a call what it may have; see `MinutePool.draw`."""
        pool = self._pools[month_of(call)]
        pool, taken = pool.draw(call, wanted, self.licensing, reserved=reserved, now=now)
        self.put(pool)
        return taken

    def release(self, month: Month, hold: Hold, now: datetime) -> int:
        """Give back what a call has reserved; gives how many minutes are its own until now."""
        pool = self._pools[month]
        if not pool.held.keeps(hold):
            return 0
        self.put(pool.without_held(hold))
        return hold.amount if hold.lasts_at(now) else 0

    def give_back(self, call: Call, minutes: int, reserved: int) -> None:
        """Give back what a call has drawn that turns out to be another; others may get it."""
        position = Position.of(call)
        pool = self._pools[month_of(call)].with_drawn(position, -minutes, -reserved)
        self.put(pool.unsettled_from(position, -minutes))

    def put(self, pool: MinutePool) -> None:
        """Put a pool in its place, to be written whether it has changed or not.

        A call that found nothing left must move the account as well: whoever is just settling the
        pool has not seen it.
        """
        self._pools[pool.month] = pool
        self._touched.add(pool.month)

    def unsettle(self, call: Call) -> None:
        """Mark the pool of a call as unsettled from it on."""
        self.put(self._pools[month_of(call)].unsettled_from(Position.of(call)))

    def visit(self, call: Call) -> None:
        """Have a call gone over before its pool is settled, if it is unsettled."""
        self.put(self._pools[month_of(call)].with_visit(Position.of(call)))

    def may_change(self, call: Call) -> bool:
        """Whether what a call has drawn from its pool may change; not if the pool was not read."""
        pool = self._pools.get(month_of(call))
        return pool is not None and pool.is_unsettled_at(Position.of(call))

    def reach(self, at: datetime) -> Iterator[tuple[MinutePool, int, int]]:
        """Give each threshold that a pool has reached since it was last told, and its minutes.

        What an unsettled pool has given is not known yet: it is told when it is settled. A level
        that was told and is no longer reached, by the licenses as they are now, is told again.
        """
        for month in sorted(self._touched):
            pool = self._pools[month]
            if pool.unsettled is not None:
                continue
            minutes = self.licensing.pool_minutes(month.nearest(at))
            used_before = self.licensing.pool_minutes_used(month.start)
            level = pool.level(minutes, used_before)
            told = min(pool.told, self._before[month].level(minutes, used_before))
            self._pools[month] = replace(pool, told=level)
            for percent in THRESHOLDS:
                if told < percent <= level:
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
        """What is to be written."""
        return tuple(self._pools[month] for month in sorted(self._touched))


def month_of(call: Call) -> Month:
    """Tell from which month's pool a call draws."""
    return Month.of(_answered(call))


def minutes_wanted(call: Call) -> int:
    """Count the minutes of a call, a started one in full (docs/domain.md §2.2)."""
    return -(-call.connected_seconds // SECONDS_PER_MINUTE)


def _answered(call: Call) -> datetime:
    if call.answered_at is None:
        msg = f"call {call.call_id} was never answered and draws nothing"
        raise ValueError(msg)
    return call.answered_at
