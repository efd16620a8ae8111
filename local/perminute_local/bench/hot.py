"""One hot organization that several invocations charge at once, in virtual time.

Each invocation takes calls of a backlog that never ends, charges them by `ChargeCalls`, and takes
the next ones. A request takes 10 ms, and a call some CPU, in virtual time, so nothing depends on
the machine. DynamoDB refuses a transaction at once if another one is writing its item; here it
waits for its turn and takes its 10 ms even if it is refused, which is the worse case.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Semaphore, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.charge_calls import CALLS_PER_BATCH, ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.application.retry import Deadline, RetryPolicy
from perminute.formats.rate_card_csv import read_rate_card
from perminute.sqs import MAX_HIDDEN_SECONDS, hidden_seconds
from perminute_local.bench.builders import (
    ORGANIZATION,
    ORGANIZERS,
    RATE_CARD,
    SINCE,
    bought,
    ended_call,
    licensing_change,
)
from perminute_local.bench.report import Row, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.attributes import FactValue

AT_ONCE = (1, 2, 5, 10)
SECONDS = 10.0
REQUEST_SECONDS = 0.010
CPU_SECONDS_PER_CALL = 0.000_08
_TIME_LEFT = 20.0
"""Seconds of an invocation, less its margin."""


class Way(NamedTuple):
    """A size of batches, how conflicts are retried, and how long a contended message is hidden."""

    batch: int
    retry: dict[str, Any]
    hidden_seconds: Callable[[int, float], int]


OURS = Way(CALLS_PER_BATCH, {}, hidden_seconds)
NAIVE = Way(
    100,
    {"attempts": 12, "base_seconds": 0.01, "cap_seconds": 0.5},
    lambda *_: MAX_HIDDEN_SECONDS,
)
DESCRIPTION = "batches of 100, 12 attempts up to 0.5 s apart, then hidden for 200 s"


def main() -> None:
    """Charge the organization by so many invocations at once, both ways."""
    ours = {at_once: _Backlog(OURS, at_once).charged() for at_once in AT_ONCE}
    naive = {at_once: _Backlog(NAIVE, at_once).charged() for at_once in AT_ONCE}
    print_result(
        "hot organization",
        "calls/s: at least 2,800 at 1 invocation, 2,000 at 10; less than 1 % handed back, for 10 s",
        [
            Row(
                f"hot organization, {at_once} at once, {figure}",
                ours[at_once][name],
                naive[at_once][name],
                aims.get(at_once, ""),
            )
            for figure, name, aims in (
                ("calls/s", "callsPerSecond", {1: "≥ 2,800", 10: "≥ 2,000"}),
                ("% handed back", "percentHandedBack", dict.fromkeys(AT_ONCE, "< 1")),
            )
            for at_once in AT_ONCE
        ],
        secondsPerRequest=REQUEST_SECONDS,
        ours=ours,
        naive=DESCRIPTION,
        naiveFigures=naive,
    )


@dataclass
class VirtualClock:
    """Lets one thread run at a time: the one whose pause ends first."""

    now: float = 0.0
    _paused: list[tuple[float, int, Semaphore]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def sleep(self, seconds: float) -> None:
        """Let other threads run until this time has passed."""
        me = self._pause(seconds)
        self._wake_next()
        me.acquire()

    def run(self, *works: Callable[[], None]) -> None:
        """Run all at once, to their ends."""
        threads = [
            Thread(target=self._run, args=(work, self._pause(0.0)), daemon=True) for work in works
        ]
        for thread in threads:
            thread.start()
        self._wake_next()
        for thread in threads:
            thread.join()

    def _run(self, work: Callable[[], None], turn: Semaphore) -> None:
        turn.acquire()
        try:
            work()
        finally:
            self._wake_next()

    def _pause(self, seconds: float) -> Semaphore:
        turn = Semaphore(0)
        heapq.heappush(self._paused, (self.now + seconds, next(self._numbers), turn))
        return turn

    def _wake_next(self) -> None:
        if self._paused:
            self.now, _, turn = heapq.heappop(self._paused)
            turn.release()


@dataclass
class _SlowStore(InMemoryStore):
    """A store that takes its time, and writes an account by one transaction after the other."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    transactions: int = 0
    _free_at: float = 0.0

    def account(self, organization_id: str) -> Account:
        self.clock.sleep(REQUEST_SECONDS / 2)
        account = super().account(organization_id)
        self.clock.sleep(REQUEST_SECONDS / 2)
        return account

    def commit(self, transaction: Transaction) -> None:
        self.transactions += 1
        self.clock.sleep(CPU_SECONDS_PER_CALL * len(transaction.usages))
        self._free_at = max(self.clock.now, self._free_at) + REQUEST_SECONDS
        self.clock.sleep(self._free_at - self.clock.now)
        super().commit(transaction)


class _Backlog:
    def __init__(self, way: Way, at_once: int) -> None:
        self.way, self.at_once = way, at_once
        self.rng, self.clock = Random(1), VirtualClock()  # noqa: S311 - the same in each run
        self.store = _SlowStore(clock=self.clock)
        self.card = read_rate_card(RATE_CARD.read_bytes(), version="0123456789ab")
        self.new = count()
        self.hidden: list[tuple[float, int, int]] = []
        """Calls that were handed back: when they are visible, number, and deliveries."""
        self.charged_calls = self.deliveries = self.handed_back = self.longest_hidden = 0

    def charged(self) -> dict[str, float]:
        self.clock.run(self._fund)
        self.clock.now, self.store.transactions = 0.0, 0
        self.clock.run(*[self._invoke_until_the_end] * self.at_once)
        commits = self.store.accounts[ORGANIZATION].entries - 1
        return {
            "callsPerSecond": round(self.charged_calls / SECONDS),
            "percentHandedBack": round(100 * self.handed_back / self.deliveries, 2),
            "longestHiddenSeconds": self.longest_hidden,
            "transactionsPerCommit": round(self.store.transactions / commits, 2),
        }

    def _fund(self) -> None:
        self.store.record(
            ORGANIZATION, [licensing_change(ORGANIZATION, None, {"licensingProgram": "volume"})]
        )
        user: dict[str, FactValue] = {
            "license:MCOMEETACPEA": True,
            "license:MCOPSTNC": True,
            "country": "DE",
        }
        for organizer in ORGANIZERS:
            self.store.record(ORGANIZATION, [licensing_change(ORGANIZATION, organizer, user)])
        self.store.commit(bought(self.store.account(ORGANIZATION), micros=10**12))

    def _invoke_until_the_end(self) -> None:
        retry = RetryPolicy(**self.way.retry, sleep=self.clock.sleep, jitter=self.rng.random)
        charge = ChargeCalls(
            self.store,
            InMemoryCalls(self.store),
            LicensingCache(self.store),
            PublishedRateCards(self.card),
            retry,
        )
        self.clock.sleep(self.rng.random() * REQUEST_SECONDS)
        while self.clock.now < SECONDS:
            self._invoke(charge)

    def _invoke(self, charge: ChargeCalls) -> None:
        batch = list(self._received())
        calls = [
            ended_call(ORGANIZATION, f"call-{n:09}", ORGANIZERS[n % len(ORGANIZERS)], SINCE, 60)
            for n, _ in batch
        ]
        deadline = Deadline(self.clock.now + _TIME_LEFT, lambda: self.clock.now)
        share = self.rng.random()
        for (number, receives), result in zip(batch, charge(calls, deadline), strict=True):
            if isinstance(result, Accepted):
                self.charged_calls += self.clock.now <= SECONDS
            else:
                self._hand_back(number, receives, share)

    def _received(self) -> Iterator[tuple[int, int]]:
        for _ in range(self.way.batch):
            self.deliveries += 1
            if self.hidden and self.hidden[0][0] <= self.clock.now:
                _, number, receives = heapq.heappop(self.hidden)
                yield number, receives + 1
            else:
                yield next(self.new), 1

    def _hand_back(self, number: int, receives: int, share: float) -> None:
        self.handed_back += 1
        seconds = self.way.hidden_seconds(receives, share)
        self.longest_hidden = max(self.longest_hidden, seconds)
        heapq.heappush(self.hidden, (self.clock.now + seconds, number, receives))


if __name__ == "__main__":
    main()
