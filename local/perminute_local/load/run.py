"""One load: set up, send at a rate, wait until all is charged, and check it to the cent."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.values.printable import counted
from perminute_local.load.plan import Workload, offer_of
from perminute_local.load.target import SENDERS, Target
from perminute_local.load.watching import Followed, Watch, percentile
from perminute_local.sending import MAX_ENTRIES, NotSent
from perminute_local.wrong_call import AwsFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perminute_local.load.plan import Load
    from perminute_local.sending import EventSender, Outcome

FOLLOWED_A_SECOND = 5
"""Calls a second of which the time until they are charged is measured."""
SET_UP_WITHIN_SECONDS = 120
STANDSTILL_SECONDS = 90
"""How long nothing may move before a load ends: a message is delivered again within a minute."""
POLL_SECONDS = 1.0


class Sent(NamedTuple):
    """The calls that the bus accepted."""

    calls: int
    refused: tuple[str, ...]  # why it refused others
    seconds: float


class Result(NamedTuple):
    """The result of a load."""

    load: Load
    run: str
    sent: Sent
    seconds: float  # from the first event until the last balance
    latencies: tuple[float, ...]
    missing: int  # of the calls that were followed, those that were not found
    deepest: int
    handed_back: int
    dead_letters: int
    wrong_balances: tuple[str, ...]  # of these organizations
    differences: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether everything that was sent was charged once, and nothing else."""
        return not (
            self.sent.refused
            or self.missing
            or self.dead_letters
            or self.wrong_balances
            or self.differences
        )

    def after(self, percent: int) -> float | None:
        """Return the seconds within which a percentage of the calls was charged."""
        return percentile(self.latencies, percent)


def run_load(target: Target, load: Load, announce: Callable[[str], None]) -> Result:
    """Load a stack. Raises `WrongCall`, and what boto3 raises."""
    began = datetime.now(UTC)
    run = f"{began:%m%d%H%M%S}{uuid.uuid4().hex[:4]}"
    workload = Workload(run, load, offer_of(target.rate_card(), began), began)
    dead_before = target.dead_letters()
    announce(
        f"setting up {counted(load.organizations, 'organization')}: a licensed user and credit"
    )
    _set_up(target, workload)
    announce(f"sending {counted(load.calls, 'call')} in {load.seconds:g} s, {load.rate} a second")
    watch = Watch(target.charged(), target.depth)
    watch.start()
    first = time.monotonic()
    sent = Sending(target.sender, workload, watch).send(load)
    announce(
        f"sent {counted(sent.calls, 'call')} in {sent.seconds:.1f} s; waiting for their charges"
    )
    wrong, last = _settle(target, workload.balances(sent.calls), watch)
    watch.end()
    announce("comparing accounts, ledgers and calls")
    books = target.books(workload.organizations)
    return Result(
        load=load,
        run=run,
        sent=sent,
        seconds=last - first,
        latencies=tuple(watch.latencies),
        missing=watch.missing(),
        deepest=watch.deepest,
        handed_back=target.handed_back(began),
        dead_letters=target.dead_letters() - dead_before,
        wrong_balances=tuple(wrong),
        differences=tuple(
            f"{book.organization_id}: {message}"
            for book in books
            for message in [*(each.message for each in book.differences), book.unavailable]
            if message is not None
        ),
    )


def _set_up(target: Target, workload: Workload) -> None:
    events = list(workload.set_up())
    for outcome in target.sender(events):
        if isinstance(outcome, NotSent):
            raise AwsFailed(outcome.reason)
    deadline = time.monotonic() + SET_UP_WITHIN_SECONDS
    waiting = list(workload.organizations)
    while waiting := _differing(target, dict.fromkeys(waiting, workload.bought_micros)):
        if time.monotonic() > deadline:
            msg = (
                f"{len(waiting)} of {len(workload.organizations)} organizations have no credit "
                f"after {SET_UP_WITHIN_SECONDS} s; see perminute doctor, and perminute dlq list"
            )
            raise AwsFailed(msg)
        time.sleep(POLL_SECONDS)


def _differing(target: Target, expected: Mapping[str, int]) -> list[str]:
    found = target.balances(list(expected))
    return [name for name, balance in expected.items() if found[name] != balance]


class Sending:
    """Sends calls at a rate, ten in a request, and none before it is due."""

    def __init__(self, sender: EventSender, workload: Workload, watch: Watch) -> None:
        self._sender, self._workload, self._watch = sender, workload, watch
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._next = 0
        self._taken = 0
        self._refused: list[str] = []

    def send(self, load: Load) -> Sent:
        """Send what can be sent in that time; the last number that is sent has no gap before it."""
        began = time.monotonic()
        with ThreadPoolExecutor(SENDERS) as pool:
            workers = [pool.submit(self._work, load, began) for _ in range(SENDERS)]
            try:
                wait(workers, return_when=FIRST_EXCEPTION)
            finally:
                # Whoever interrupts it, or fails, ends all of them: each event may cost money.
                self._ended.set()
            for worker in workers:
                worker.result()
        return Sent(self._taken, tuple(self._refused), time.monotonic() - began)

    def _work(self, load: Load, began: float) -> None:
        while (numbers := self._due(load, began)) and not self._refused:
            at = datetime.now(UTC)
            outcomes = self._sender([self._workload.call(number, at) for number in numbers])
            self._count(outcomes)

    def _due(self, load: Load, began: float) -> Sequence[int]:
        with self._lock:
            first, self._next = self._next, min(self._next + MAX_ENTRIES, load.calls)
            numbers = range(first, self._next)
            early = began + first / load.rate - time.monotonic()
        self._ended.wait(max(0, early))
        late = time.monotonic() - began > load.seconds + 1
        return range(0) if late or self._ended.is_set() else self._followed(numbers, load)

    def _followed(self, numbers: range, load: Load) -> range:
        every = max(1, load.rate // FOLLOWED_A_SECOND)
        for number in numbers:
            if number % every == 0:
                name, call = self._workload.organization_of(number), self._workload.call_id(number)
                self._watch.follow(Followed(name, call, time.monotonic()))
        return numbers

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        with self._lock:
            for outcome in outcomes:
                if isinstance(outcome, NotSent):
                    self._refused.append(outcome.reason)
                else:
                    self._taken += 1


def _settle(target: Target, expected: Mapping[str, int], watch: Watch) -> tuple[list[str], float]:
    """Wait until nothing is missing, or nothing moves; return whose balance is wrong, and when."""
    moved_at, before = time.monotonic(), dict[str, int]()
    while True:
        if watch.failure is not None:
            raise watch.failure
        found = dict(target.balances(list(expected)))
        now = time.monotonic()
        wrong = [name for name, balance in expected.items() if found[name] != balance]
        if not wrong and not watch.missing():
            return [], now
        if found != before:
            moved_at, before = now, found
        if now - moved_at > STANDSTILL_SECONDS:
            return wrong, moved_at
        time.sleep(POLL_SECONDS)
