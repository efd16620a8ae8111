"""What can go wrong, and how often it does in the world of one seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ONE = 1_000
"""Rates are in thousandths."""


class Fault(StrEnum):
    """One kind of fault; its name is that of `perminute simulate --faults`."""

    DUPLICATE = "duplicate"
    """The bus, a queue or the stream delivers once more what was settled."""
    DELAY = "delay"
    """An event is on its way for minutes to a day."""
    REORDER = "reorder"
    """Messages come in any order, and in batches of what was sent at other times."""
    REDRIVE = "redrive"
    """An operator sends dead letters back, refused ones too; or a stream gives a batch up."""
    THROTTLE = "throttle"
    """A request is turned away."""
    TIMEOUT_BEFORE = "timeout-before"
    """A request has no answer and no effect."""
    TIMEOUT_AFTER = "timeout-after"
    """A request has its effect, and no answer."""
    CONFLICT = "conflict"
    """A transaction is canceled: another one is just writing the same."""
    CUT = "cut"
    """Of a request for several things a part is carried out; an index lags behind its table."""
    KILL = "kill"
    """A function ends between two requests, without a trace of what it knew."""
    OVERTAKE = "overtake"
    """Another function gets its work done between two requests of this one."""
    CLOCK = "clock"
    """Time jumps, senders' clocks are wrong, and a daily run is late or left out."""


ALL_FAULTS = frozenset(Fault)
PER_REQUEST = (
    Fault.OVERTAKE,
    Fault.KILL,
    Fault.THROTTLE,
    Fault.TIMEOUT_BEFORE,
    Fault.TIMEOUT_AFTER,
    Fault.CONFLICT,
    Fault.CUT,
)
"""Of these at most one happens to a request."""

_RATES = {
    **dict.fromkeys(Fault, (0, 20, 60, 150)),
    **dict.fromkeys(PER_REQUEST, (0, 5, 15, 40)),
    Fault.OVERTAKE: (0, 30, 100, 250),
}
"""What a rate may be: fine weather, and three kinds of bad."""


class Killed(BaseException):
    """The function ends here and now; no handler of errors may see it."""


def chance(*label: object) -> Random:
    """Give the chance that belongs to a label, whatever else has happened before.

    What is drawn for one thing must not depend on another: a history from which something is left
    out stays the same in all else, and so a failure can be looked for in shorter and shorter ones.
    """
    return Random("/".join(map(str, label)))  # noqa: S311 - reproducible, guards nothing


@dataclass(frozen=True, slots=True)
class Weather:
    """How often each kind of fault happens, in thousandths."""

    rates: Mapping[Fault, int] = field(default_factory=dict)

    @classmethod
    def of(cls, seed: int, kinds: Collection[Fault] = ALL_FAULTS) -> Weather:
        """Make that of a seed: other kinds than these do not happen."""
        rates = {
            kind: chance(seed, "weather", kind).choice(_RATES[kind])
            for kind in Fault
            if kind in kinds
        }
        return cls(rates)

    def rate(self, kind: Fault) -> int:
        """Tell how often it happens."""
        return self.rates.get(kind, 0)

    def happens(self, kind: Fault, drawn: Random) -> bool:
        """Draw whether it happens now."""
        rate = self.rate(kind)
        return rate > 0 and drawn.randrange(ONE) < rate

    def of_request(self, drawn: Random) -> Fault | None:
        """Draw what happens to a request, if anything does."""
        left = drawn.randrange(ONE)
        for kind in PER_REQUEST:
            left -= self.rate(kind)
            if left < 0:
                return kind
        return None
