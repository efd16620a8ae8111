"""The table's stream, which delivers late and twice, and gives up what keeps failing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from perminute_local.replay.streams import matches
from perminute_local.simulation.faults import Fault, rng_of

if TYPE_CHECKING:
    from perminute_local.simulation.scheduler import Functions, Scheduler
    from perminute_local.simulation.write_recorder import WriteRecorder
    from perminute_local.stack import StreamTrigger

PUBLISHER = "PublishNotificationsFunction"
OUTBOX = "outbox#"
"""How the keys of notifications begin (OutboxRow)."""
MOMENT = timedelta(seconds=1)
DELAYS = (timedelta(minutes=5), timedelta(minutes=50), timedelta(hours=7), timedelta(days=1))
_GIVES_UP_AFTER = 2
"""Failures of one batch after which a stream may give it up; in AWS it is an hour of them."""
_LONGEST_WAIT = 64
"""A batch that fails waits twice as long each time, up to so many moments."""


@dataclass
class SimulatedStream:
    """The table's stream as one function reads it, in its order."""

    trigger: StreamTrigger
    function: str
    scheduler: Scheduler
    functions: Functions
    given_up: list[dict[str, Any]] = field(default_factory=list)
    forgotten: bool = False
    """Whether something was given up that the evening run must find."""
    _records: list[dict[str, Any]] = field(default_factory=list)
    _failures: int = 0
    _is_busy: bool = False
    _pumps: int = 0
    _deliveries: int = 0
    _stalls: int = 0
    _stalled_until: datetime | None = None
    """Until then nothing is read, as if its function were throttled."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be delivered or republished."""
        return not (self._records or self.given_up or self.forgotten)

    def add(self, records: list[dict[str, Any]]) -> None:
        """Add the records that match a pattern of the mapping."""
        wanted = [
            record
            for record in records
            if any(matches(pattern, record) for pattern in self.trigger.patterns)
        ]
        if wanted:
            self._records += wanted
            self._stall()
            self._go_on(MOMENT)

    def deliver_first(self) -> bool:
        """Deliver the next batch, if nobody is doing so."""
        if not self._records or self._is_busy:
            return False
        self._is_busy = True
        try:
            self._deliver()
        finally:
            self._is_busy = False
        return True

    def republish(self, recorder: WriteRecorder) -> None:
        """Have an operator write notifications again that were given up, so that they are read.

        What else was given up is not written again: the evening run finds it in the table.
        """
        records, self.given_up = self.given_up, []
        for record in records:
            if record["dynamodb"]["Keys"]["record"]["S"].startswith(OUTBOX):
                recorder.put(record["dynamodb"]["NewImage"], is_new=False)
            else:
                self.forgotten = True

    def _stall(self) -> None:
        """Delay notifications now and then, so that the daily run is first."""
        self._stalls += 1
        rng = rng_of(self.scheduler.seed, "stall", self.function, self._stalls)
        is_stalled = self._stalled_until is not None and self._stalled_until > self.scheduler.now
        if self.function != PUBLISHER or is_stalled:
            return
        if self.scheduler.happens(Fault.DELAY, rng):
            after = rng.choice(DELAYS)
            self._stalled_until = self.scheduler.now + after
            self._go_on(after)

    def _go_on(self, after: timedelta) -> None:
        self._pumps += 1
        name = f"{self.function} pump {self._pumps}"
        self.scheduler.add(self.scheduler.now + after, name, self._pump)

    def _pump(self) -> None:
        if self._stalled_until is not None and self.scheduler.now < self._stalled_until:
            return
        if self.deliver_first() and self._records:
            self._go_on(MOMENT * min(2**self._failures, _LONGEST_WAIT))

    def _deliver(self) -> None:
        scheduler = self.scheduler
        number = self._records[0]["dynamodb"]["SequenceNumber"]
        self._deliveries += 1
        rng = rng_of(scheduler.seed, "stream", self.function, self._deliveries)
        size = rng.randint(1, self.trigger.batch_size)
        if self._failures:
            size = max(1, size // 2)
        batch, self._records = self._records[:size], self._records[size:]
        scheduler.log(f"{self.function} {len(batch)} records from {number}")
        left = self.functions.run(
            self.function, rng, lambda loaded: loaded.invoke_with_records(batch)
        )
        if left is None:
            left = batch
        if not left:
            self._failures = 0
            if scheduler.happens(Fault.DUPLICATE, rng):
                self._records = batch + self._records
        elif self._failures >= _GIVES_UP_AFTER and scheduler.happens(Fault.REDRIVE, rng):
            scheduler.log(f"{self.function} gives up {len(left)} records")
            self.given_up += left
            self._failures = 0
        else:
            self._failures += 1
            self._records = left + self._records
