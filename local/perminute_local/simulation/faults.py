"""Faults: their kinds, how often each happens in the world of one seed, and where."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from perminute.domain.errors import PerminuteError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

ONE = 1_000
"""Rates are in thousandths."""


class Fault(StrEnum):
    """One kind of fault; its name is that of `perminute simulate --faults`."""

    DUPLICATE = "duplicate"
    """The bus, a queue or the stream delivers again what was settled."""
    DELAY = "delay"
    """An event arrives minutes to a day later."""
    REORDER = "reorder"
    """Messages arrive in any order, and in batches of what was sent at other times."""
    REDRIVE = "redrive"
    """An operator redrives dead letters, refused ones too; or a stream gives a batch up."""
    THROTTLE = "throttle"
    """A request is throttled."""
    TIMEOUT_BEFORE = "timeout-before"
    """A request has no answer and no effect."""
    TIMEOUT_AFTER = "timeout-after"
    """A request has its effect, and no answer."""
    CONFLICT = "conflict"
    """A transaction is canceled, because another one is writing the same item."""
    CUT = "cut"
    """A request for several things is carried out in part; an index lags behind its table."""
    KILL = "kill"
    """A function ends between two requests, and all that it knew is lost."""
    OVERTAKE = "overtake"
    """Another function does its work between two requests of this one."""
    CLOCK = "clock"
    """Time jumps, senders' clocks are wrong, and a daily run is late or skipped."""


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
"""What a rate may be; of each kind there are worlds without any."""


class Killed(BaseException):
    """A function ends here; no handler of errors may catch it."""


def rng_of(*label: object) -> Random:
    """Return random numbers that depend on a label and on nothing else.

    So a history from which something is left out stays the same in all else, and a failure can be
    reproduced in shorter and shorter ones.
    """
    return Random("/".join(map(str, label)))  # noqa: S311 - reproducible, guards nothing


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often each kind of fault happens, in thousandths."""

    rates: Mapping[Fault, int] = field(default_factory=dict)

    @classmethod
    def of(cls, seed: int, kinds: Collection[Fault] = ALL_FAULTS) -> FaultRates:
        """Return the rates of a seed; 0 for all other kinds than these."""
        kinds = [kind for kind in Fault if kind in kinds]
        return cls({kind: rng_of(seed, "weather", kind).choice(_RATES[kind]) for kind in kinds})

    def rate(self, kind: Fault) -> int:
        """Return how often it happens."""
        return self.rates.get(kind, 0)

    def happens(self, kind: Fault, rng: Random) -> bool:
        """Return whether it happens now."""
        rate = self.rate(kind)
        return rate > 0 and rng.randrange(ONE) < rate

    def of_request(self, rng: Random) -> Fault | None:
        """Return what happens to a request, if anything does."""
        left = rng.randrange(ONE)
        for kind in PER_REQUEST:
            left -= self.rate(kind)
            if left < 0:
                return kind
        return None


def carry_out_unanswered(effect: Callable[[], object]) -> None:
    """Carry out a request whose answer is lost, and so is its refusal."""
    with suppress(PerminuteError, ClientError):
        effect()


R = TypeVar("R")


@dataclass(slots=True)
class _Invocation:
    rng: Random
    before_each_request: Callable[[], None] = lambda: None


@dataclass(slots=True)
class FaultInjector:
    """Injects faults by the random numbers of the invocation that makes a request."""

    rates: FaultRates
    overtake: Callable[[], bool] = lambda: False
    """Lets something else happen before a request; returns whether there was anything."""
    log: Callable[[str], None] = lambda _: None
    is_off: bool = False
    requests: int = 0
    happened: Counter[Fault] = field(default_factory=Counter)
    _invocations: list[_Invocation] = field(default_factory=list)
    """Those under way, each of which overtakes the one before."""

    @property
    def depth(self) -> int:
        """How many invocations are under way."""
        return len(self._invocations)

    @property
    def is_active(self) -> bool:
        """Whether a function is disturbed if it makes a request now."""
        return bool(self._invocations) and not self.is_off

    @property
    def rng(self) -> Random:
        """The random numbers of the invocation that is running."""
        return self._invocations[-1].rng

    @contextmanager
    def invocation(self, rng: Random) -> Iterator[None]:
        """Treat the requests made meanwhile as those of one invocation."""
        self._invocations.append(_Invocation(rng))
        try:
            yield
        finally:
            self._invocations.pop()

    @contextmanager
    def before_each_request(self, do: Callable[[], None]) -> Iterator[None]:
        """Do something before each request that the running invocation makes meanwhile."""
        running = self._invocations[-1]
        running.before_each_request = do
        try:
            yield
        finally:
            running.before_each_request = lambda: None

    def happens(self, kind: Fault, rng: Random) -> bool:
        """Return whether a kind of fault happens elsewhere than at a request."""
        happens = not self.is_off and self.rates.happens(kind, rng)
        self.happened[kind] += happens
        return happens

    def carry_out(
        self,
        name: str,
        effect: Callable[[], R],
        failing: Callable[[Fault], Callable[[], R] | None],
        *,
        keeps_turn: bool = False,
    ) -> R:
        """Carry out a request, or have it fail; outside of an invocation no fault happens.

        `failing` returns what happens instead of the effect; None if that fault cannot happen here.
        Before a request that keeps the turn no other task of the invocation continues.
        """
        if not self.is_active:
            return effect()
        self.requests += 1
        if not keeps_turn:
            self._invocations[-1].before_each_request()
        fault = self.rates.of_request(self.rng)
        match fault:
            case None:
                return effect()
            case Fault.OVERTAKE:
                self.happened[fault] += self.overtake()
                return effect()
            case Fault.KILL:
                is_after = self.rng.randrange(2) == 1
                self._note(Fault.KILL, f"{'after' if is_after else 'before'} {name}")
                if is_after:
                    carry_out_unanswered(effect)
                raise Killed
        failure = failing(fault)
        if failure is None:
            return effect()
        self._note(fault, name)
        return failure()

    def _note(self, fault: Fault, where: str) -> None:
        self.happened[fault] += 1
        self.log(f"{fault} {where}")
