"""Queues and streams as they are at their worst: late, twice, in any order, in any batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from perminute_local.replay.lambda_runtime import SQSMessage
from perminute_local.replay.table_stream import matches
from perminute_local.simulation.faults import Fault, chance

if TYPE_CHECKING:
    from random import Random

    from perminute_local.simulation.scheduler import Functions, Happenings
    from perminute_local.simulation.write_recorder import Effects
    from perminute_local.stack import Queue, QueueTrigger, StreamTrigger

VISIBILITY_TIMEOUT = timedelta(seconds=200)
"""How long a message that failed is hidden (template.yaml)."""
RERATINGS = "ReratingsQueue"
"""The queue of organizations whose calls are to be looked at again."""
PUBLISHER = "PublishNotificationsFunction"
OUTBOX = "outbox#"
"""How the records begin that store notifications (`outbox_items`)."""
_MOMENT = timedelta(seconds=1)
_DELAYS = (timedelta(minutes=5), timedelta(minutes=50), timedelta(hours=7), timedelta(days=1))
_WINDOWS = (_MOMENT, timedelta(minutes=1), timedelta(hours=1))
_STREAM_GIVES_UP_AFTER = 2
_LONGEST_WAIT = 64
"""A stream's batch that fails waits twice as long each time, up to so many moments."""
"""Failures of one batch after which a stream may give it up: in truth it is an hour of them."""


@dataclass(slots=True)
class _Waiting:
    message: SQSMessage
    due: datetime
    visible_at: datetime | None


@dataclass
class SimulatedQueue:
    """A queue, the function that reads it, and its dead letters."""

    name: str
    queue: Queue
    trigger: QueueTrigger
    function: str
    happenings: Happenings
    functions: Functions
    received: Counter[str] = field(default_factory=Counter)
    """How often a function was given a body."""
    settled: Counter[str] = field(default_factory=Counter)
    """How often it said that it was done with it."""
    dead: list[SQSMessage] = field(default_factory=list)
    _waiting: dict[str, _Waiting] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way, or waits for an operator; what SQS delays is not yet."""
        return not (self._visible() or self.dead)

    def send(
        self,
        body: str,
        identity: str,
        drawn: Random,
        *,
        promptly: bool = False,
        visible_at: datetime | None = None,
    ) -> None:
        """Have the bus deliver a message: it may take its time, and do so more than once.

        It is not to be seen before `visible_at`, if its sender asks for that.
        """
        copies = 1
        while copies < 4 and self.happenings.happens(Fault.DUPLICATE, drawn):  # noqa: PLR2004
            copies += 1
        sent_at = self.happenings.now
        for copy in range(copies):
            message = SQSMessage(body, sent_at=sent_at, id=f"{identity}.{copy}")
            due = (visible_at or sent_at) + self._delay(drawn, promptly=promptly)
            self._put(message, due, visible_at=visible_at)

    def deliver_first(self) -> bool:
        """Deliver what is due first, however long it would still have been on its way."""
        visible = self._visible()
        if not visible:
            return False
        self._deliver(min(visible, key=lambda one: (self._waiting[one].due, one)))
        return True

    def redrive(self) -> None:
        """Have an operator send back what SQS moved to the dead letters."""
        letters, self.dead = self.dead, []
        for letter in letters:
            self.send_back(letter.body, f"{letter.id}r")

    def send_back(self, body: str, identity: str) -> None:
        """Put a dead letter into the queue again: as a new message, as SQS does."""
        now = self.happenings.now
        self._put(SQSMessage(body, sent_at=now, id=identity), now)

    def _delay(self, drawn: Random, *, promptly: bool) -> timedelta:
        if self.happenings.happens(Fault.DELAY, drawn) and not promptly:
            return drawn.choice(_DELAYS) * drawn.random()
        return timedelta(milliseconds=drawn.randrange(2_000))

    def _visible(self) -> list[str]:
        now = self.happenings.now
        return [
            name
            for name, one in self._waiting.items()
            if one.visible_at is None or one.visible_at <= now
        ]

    def _put(
        self, message: SQSMessage, due: datetime, *, visible_at: datetime | None = None
    ) -> None:
        self._waiting[message.id] = _Waiting(message, due, visible_at)
        self.happenings.add(due, f"{self.name} {message.id}", lambda: self._deliver(message.id))

    def _deliver(self, first: str) -> None:
        """Deliver a message, and others with it, unless it was delivered with another."""
        if first not in self._waiting:
            return
        begun = self._waiting[first].message
        drawn = chance(self.happenings.seed, "batch", first, begun.receive_count)
        batch = self._batch(first, drawn)
        happenings = self.happenings
        happenings.log(f"{self.function} {' '.join(message.id for message in batch)}")
        for message in batch:
            self.received[message.body] += 1
        counts = {message.id: message.receive_count for message in batch}
        failed = self.functions.run(
            self.function, drawn, lambda one: one.invoke(batch, self.queue.arn)
        )
        if failed is None:
            failed = batch
        for message in batch:
            message.receive_count = counts[message.id] + 1
            if message in failed:
                self._fail(message, drawn)
                continue
            self.settled[message.body] += 1
            if happenings.happens(Fault.DUPLICATE, drawn):
                again = replace(message, id=f"{message.id}d", receive_count=0)
                self._put(again, happenings.now + VISIBILITY_TIMEOUT)

    def _batch(self, first: str, drawn: Random) -> list[SQSMessage]:
        disordered = self.happenings.happens(Fault.REORDER, drawn)
        until = self.happenings.now + (drawn.choice(_WINDOWS) if disordered else _MOMENT)
        others = [
            name
            for name in self._visible()
            if name != first
            and (one := self._waiting[name]).due <= until
            and (one.message.sent_at or until) <= until
        ]
        if disordered:
            drawn.shuffle(others)
        names = [first, *others][: drawn.randint(1, self.trigger.batch_size)]
        if disordered:
            drawn.shuffle(names)
        return [self._waiting.pop(name).message for name in names]

    def _fail(self, message: SQSMessage, drawn: Random) -> None:
        """Hide it for a while; or give it up, for an operator to send back."""
        happenings = self.happenings
        is_last = message.receive_count >= (self.queue.max_receive_count or 1)
        if is_last or happenings.happens(Fault.REDRIVE, drawn):
            happenings.log(f"{self.name} {message.id} is a dead letter")
            self.dead.append(message)
            later = happenings.now + drawn.choice(_DELAYS)
            happenings.add(later, f"{self.name} redrive {message.id}", self.redrive)
        else:
            self._put(message, happenings.now + VISIBILITY_TIMEOUT)


@dataclass
class SimulatedStream:
    """The table's stream as one function reads it, in order."""

    trigger: StreamTrigger
    function: str
    happenings: Happenings
    functions: Functions
    given_up: list[dict[str, Any]] = field(default_factory=list)
    forgotten: bool = False
    """Whether something is left for the evening run to find."""
    _records: list[dict[str, Any]] = field(default_factory=list)
    _failures: int = 0
    _is_busy: bool = False
    _pumps: int = 0
    _deliveries: int = 0
    _stalls: int = 0
    _stalled_until: datetime | None = None
    """Until then nothing of it is read, as if its function were throttled."""

    @property
    def is_empty(self) -> bool:
        """Whether all was told, and nothing waits for an operator."""
        return not (self._records or self.given_up or self.forgotten)

    def tell(self, records: list[dict[str, Any]]) -> None:
        """Take what the mapping's patterns match."""
        wanted = [
            record
            for record in records
            if any(matches(pattern, record) for pattern in self.trigger.patterns)
        ]
        if wanted:
            self._records += wanted
            self._stall()
            self._go_on(_MOMENT)

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

    def republish(self, effects: Effects) -> None:
        """Have an operator touch notifications that were given up: the stream tells of them again.

        What else was given up nobody touches: the evening run finds it in the table.
        """
        records, self.given_up = self.given_up, []
        for record in records:
            if record["dynamodb"]["Keys"]["record"]["S"].startswith(OUTBOX):
                effects.put(record["dynamodb"]["NewImage"], is_new=False)
            else:
                self.forgotten = True

    def _stall(self) -> None:
        """Have notifications lie for a while now and then, so that the daily run comes first."""
        self._stalls += 1
        drawn = chance(self.happenings.seed, "stall", self.function, self._stalls)
        is_stalled = self._stalled_until is not None and self._stalled_until > self.happenings.now
        if self.function != PUBLISHER or is_stalled:
            return
        if self.happenings.happens(Fault.DELAY, drawn):
            after = drawn.choice(_DELAYS)
            self._stalled_until = self.happenings.now + after
            self._go_on(after)

    def _go_on(self, after: timedelta) -> None:
        self._pumps += 1
        name = f"{self.function} pump {self._pumps}"
        self.happenings.add(self.happenings.now + after, name, self._pump)

    def _pump(self) -> None:
        if self._stalled_until is not None and self.happenings.now < self._stalled_until:
            return
        if self.deliver_first() and self._records:
            self._go_on(_MOMENT * min(2**self._failures, _LONGEST_WAIT))

    def _deliver(self) -> None:
        happenings = self.happenings
        number = self._records[0]["dynamodb"]["SequenceNumber"]
        self._deliveries += 1
        drawn = chance(happenings.seed, "stream", self.function, self._deliveries)
        size = drawn.randint(1, self.trigger.batch_size)
        if self._failures:
            size = max(1, size // 2)
        batch, self._records = self._records[:size], self._records[size:]
        happenings.log(f"{self.function} {len(batch)} records from {number}")
        left = self.functions.run(self.function, drawn, lambda one: one.invoke_with_records(batch))
        if left is None:
            left = batch
        if not left:
            self._failures = 0
            if happenings.happens(Fault.DUPLICATE, drawn):
                self._records = batch + self._records
        elif self._failures >= _STREAM_GIVES_UP_AFTER and happenings.happens(Fault.REDRIVE, drawn):
            happenings.log(f"{self.function} gives up {len(left)} records")
            self.given_up += left
            self._failures = 0
        else:
            self._failures += 1
            self._records = left + self._records
