"""Where every request of a function to AWS, or to a twin, comes through: here it may go wrong."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from perminute.domain.errors import PerminuteError
from perminute_local.simulation.faults import Fault, Killed, Weather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

R = TypeVar("R")


def _nobody() -> bool:
    """Let nobody overtake."""
    return False


def _unheard(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Request(Generic[R]):
    """One request: what it does, and how a fault that befalls it shows.

    How it shows may be an answer, or is raised. None: that kind cannot happen to this request.
    """

    name: str
    effect: Callable[[], R]
    shows: Callable[[Fault], Callable[[], R] | None]


@dataclass(slots=True)
class Gate:
    """Knows which invocation asks, for the chance is the invocation's own.

    `overtake` has something else done before the request, and says whether there was anything;
    `told` hears of every fault.
    """

    weather: Weather
    overtake: Callable[[], bool] = _nobody
    told: Callable[[str], None] = _unheard
    calm: bool = False
    """While it is calm nothing goes wrong."""
    requests: int = 0
    happened: Counter[Fault] = field(default_factory=Counter)
    _chances: list[Random] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """Tell how many invocations are under way, each overtaking the one before."""
        return len(self._chances)

    @property
    def chance(self) -> Random:
        """The chance of the invocation that is running."""
        return self._chances[-1]

    @contextmanager
    def invocation(self, drawn: Random) -> Iterator[None]:
        """Count what is asked meanwhile as requests of one invocation."""
        self._chances.append(drawn)
        try:
            yield
        finally:
            self._chances.pop()

    def happens(self, kind: Fault, drawn: Random) -> bool:
        """Draw whether a kind of fault happens elsewhere than at a request."""
        happens = not self.calm and self.weather.happens(kind, drawn)
        self.happened[kind] += happens
        return happens

    def passes(self, request: Request[R]) -> R:
        """Let a request through, or have it go wrong; outside of an invocation nothing does."""
        if not self._chances or self.calm:
            return request.effect()
        self.requests += 1
        fault = self.weather.of_request(self.chance)
        match fault:
            case None:
                return request.effect()
            case Fault.OVERTAKE:
                self.happened[fault] += self.overtake()
                return request.effect()
            case Fault.KILL:
                return self._kill(request)
            case _:
                return self._fault(request, fault)

    def _kill(self, request: Request[R]) -> R:
        after = self.chance.randrange(2) == 1
        self._note(Fault.KILL, f"{'after' if after else 'before'} {request.name}")
        if after:
            with suppress(PerminuteError):  # a refusal is not heard either
                request.effect()
        raise Killed

    def _fault(self, request: Request[R], fault: Fault) -> R:
        shows = request.shows(fault)
        if shows is None:
            return request.effect()
        self._note(fault, request.name)
        return shows()

    def _note(self, fault: Fault, where: str) -> None:
        self.happened[fault] += 1
        self.told(f"{fault} {where}")
