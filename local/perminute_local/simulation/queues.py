"""Queues that deliver late, twice, in any order and in any batch; and who sends."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from perminute.adapters.messaging import later_body
from perminute_local.replay.lambda_runtime import SQSMessage
from perminute_local.simulation.faults import Fault, rng_of
from perminute_local.simulation.invariants.events import fits_a_transaction
from perminute_local.simulation.plan import events_in, is_part
from perminute_local.simulation.redeliveries import VISIBILITY_TIMEOUT
from perminute_local.simulation.streams import DELAYS, MOMENT, SimulatedStream
from perminute_local.stack import QueueTrigger, StreamTrigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from perminute_local.simulation.plan import EventSent
    from perminute_local.simulation.scheduler import Functions, Scheduler
    from perminute_local.simulation.write_recorder import Refusal, WriteRecorder
    from perminute_local.stack import Queue

CALLS, RERATINGS = "CallsQueue", "ReratingsQueue"
_REDRIVEN = "r"
"""Ends the id of a message once for each time that it was redriven."""
_MOST_DOUBLINGS = 7
"""Of the time until a dead letter is redriven: then it takes four months at most."""
_WINDOWS = (MOMENT, timedelta(minutes=1), timedelta(hours=1))
_QUEUES = {"telephony": CALLS, "licensing": "LicensingQueue", "billing": "CreditQueue"}


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
    scheduler: Scheduler
    functions: Functions
    received: Counter[str] = field(default_factory=Counter)
    """How often each event was delivered, by its body."""
    settled: Counter[str] = field(default_factory=Counter)
    """How often a message with this event alone was deleted after its delivery."""
    dead: list[SQSMessage] = field(default_factory=list)
    _waiting: dict[str, _Waiting] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be delivered or redriven, except what SQS delays."""
        return not (self._visible() or self.dead)

    def send(
        self,
        body: str,
        identity: str,
        rng: Random,
        *,
        promptly: bool = False,
        visible_at: datetime | None = None,
    ) -> None:
        """Send a message, which may arrive late and several times, never before `visible_at`."""
        copies = 1
        while copies < 4 and self.scheduler.happens(Fault.DUPLICATE, rng):  # noqa: PLR2004
            copies += 1
        sent_at = self.scheduler.now
        for copy in range(copies):
            message = SQSMessage(body, sent_at=sent_at, id=f"{identity}.{copy}")
            due = (visible_at or sent_at) + self._delay(rng, promptly=promptly)
            self._put(message, due, visible_at=visible_at)

    def deliver_first(self) -> bool:
        """Deliver what is due first, even before its time."""
        visible = self._visible()
        if not visible:
            return False
        self._deliver(min(visible, key=lambda one: (self._waiting[one].due, one)))
        return True

    def redrive(self) -> None:
        """Have an operator redrive all dead letters."""
        for letter in list(self.dead):
            self._redrive(letter)

    def _redrive(self, letter: SQSMessage) -> None:
        if letter in self.dead:
            self.dead.remove(letter)
            self.send_back(letter.body, f"{letter.id}{_REDRIVEN}")

    def send_back(self, body: str, identity: str) -> None:
        """Redrive a dead letter: SQS makes a new message of it."""
        now = self.scheduler.now
        self._put(SQSMessage(body, sent_at=now, id=identity), now)

    def _delay(self, rng: Random, *, promptly: bool) -> timedelta:
        if self.scheduler.happens(Fault.DELAY, rng) and not promptly:
            return rng.choice(DELAYS) * rng.random()
        return timedelta(milliseconds=rng.randrange(2_000))

    def _visible(self) -> list[str]:
        now = self.scheduler.now
        return [
            name
            for name, one in self._waiting.items()
            if one.visible_at is None or one.visible_at <= now
        ]

    def _put(
        self, message: SQSMessage, due: datetime, *, visible_at: datetime | None = None
    ) -> None:
        self._waiting[message.id] = _Waiting(message, due, visible_at)
        self.scheduler.add(due, f"{self.name} {message.id}", partial(self._deliver, message.id))

    def _deliver(self, first: str) -> None:
        """Deliver a message and others with it, unless it was delivered with another one."""
        if first not in self._waiting:
            return
        begun = self._waiting[first].message
        rng = rng_of(self.scheduler.seed, "batch", first, begun.receive_count)
        batch = self._batch(first, rng)
        scheduler = self.scheduler
        scheduler.log(f"{self.function} {' '.join(message.id for message in batch)}")
        for message in batch:
            self.received.update(self._events_in(message.body))
        counts = {message.id: message.receive_count for message in batch}
        redeliveries = self.functions.recorder.redeliveries
        with redeliveries.invocation() as seen:
            failed = self.functions.run(
                self.function, rng, lambda loaded: loaded.invoke(batch, self.queue.arn)
            )
        if failed is None:
            failed = batch
        else:
            self.functions.recorder.broken += redeliveries.broken(failed, seen)
        for message in batch:
            message.receive_count = counts[message.id] + 1
            if message in failed:
                self._fail(message, rng)
                continue
            self.settled[message.body] += 1
            if scheduler.happens(Fault.DUPLICATE, rng):
                again = replace(message, id=f"{message.id}d", receive_count=0)
                self._put(again, scheduler.now + VISIBILITY_TIMEOUT)

    def _events_in(self, body: str) -> list[str]:
        return events_in(body) if self.name == CALLS else [body]

    def _batch(self, first: str, rng: Random) -> list[SQSMessage]:
        disordered = self.scheduler.happens(Fault.REORDER, rng)
        until = self.scheduler.now + (rng.choice(_WINDOWS) if disordered else MOMENT)
        others = [
            name
            for name in self._visible()
            if name != first
            and (one := self._waiting[name]).due <= until
            and (one.message.sent_at or until) <= until
        ]
        if disordered:
            rng.shuffle(others)
        # What has failed comes in a smaller batch: if each one were killed after it had queued more
        # work to itself, that would be done again, and in ever larger batches.
        largest = self.trigger.batch_size >> self._waiting[first].message.receive_count
        names = [first, *others][: rng.randint(1, largest or 1)]
        if disordered:
            rng.shuffle(names)
        return [self._waiting.pop(name).message for name in names]

    def _fail(self, message: SQSMessage, rng: Random) -> None:
        """Hide a message for a while, or make it a dead letter that is redriven later."""
        scheduler = self.scheduler
        is_last = message.receive_count >= (self.queue.max_receive_count or 1)
        if is_last or scheduler.happens(Fault.REDRIVE, rng):
            scheduler.log(f"{self.name} {message.id} is a dead letter")
            self.dead.append(message)
            # What fails each time is redriven less and less often, as a person would.
            times = len(message.id) - len(message.id.rstrip(_REDRIVEN))
            later = scheduler.now + rng.choice(DELAYS) * 2 ** min(times, _MOST_DOUBLINGS)
            name = f"{self.name} redrive {message.id}"
            scheduler.add(later, name, partial(self._redrive, message))
        else:
            hidden = self.functions.recorder.redeliveries.hidden(message)
            self._put(message, scheduler.now + hidden)


@dataclass
class MessageBus:
    """All queues and streams of a world, and what is put there."""

    scheduler: Scheduler
    functions: Functions
    recorder: WriteRecorder
    queues: dict[str, SimulatedQueue] = field(default_factory=dict)
    streams: list[SimulatedStream] = field(default_factory=list)
    _handled: Counter[str] = field(default_factory=Counter)
    """How many messages of each kind were put on a queue."""
    on_calls: Callable[[str], None] = lambda _: None
    """Called with calls that a function has read from records."""

    def __post_init__(self) -> None:
        """Connect every function with the queues and streams that it reads."""
        scheduler, functions = self.scheduler, self.functions
        for function in functions.backend.stack.functions:
            for trigger in function.triggers:
                match trigger:
                    case QueueTrigger(queue=name):
                        queue = functions.backend.stack.queues[name]
                        self.queues[name] = SimulatedQueue(
                            name, queue, trigger, function.name, scheduler, functions
                        )
                    case StreamTrigger():
                        self.streams.append(
                            SimulatedStream(trigger, function.name, scheduler, functions)
                        )
                    case _:
                        pass

    @property
    def _parts(self) -> list[SimulatedQueue | SimulatedStream]:
        return [*self.queues.values(), *self.streams]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is under way."""
        return all(part.is_empty for part in self._parts)

    @property
    def received(self) -> Counter[str]:
        """How often each body was delivered."""
        return sum((queue.received for queue in self.queues.values()), Counter[str]())

    @property
    def settled(self) -> Counter[str]:
        """How often each body was deleted after its delivery."""
        return sum((queue.settled for queue in self.queues.values()), Counter[str]())

    def send(self, event: EventSent, identity: str, *, promptly: bool) -> None:
        """Send an event through its rule to its queue."""
        rng = rng_of(self.scheduler.seed, "bus", identity)
        self.queues[_QUEUES[event.source]].send(event.body, identity, rng, promptly=promptly)

    def deliver_writes(self) -> None:
        """Put what functions have written and queued on streams and queues."""
        recorder = self.recorder
        records, recorder.stream = recorder.stream, []
        for stream in self.streams:
            stream.add(records)
        for kind, refused in (
            ("refused", recorder.refused),
            ("kept", recorder.records.refused),
        ):
            for refusal in refused[self._handled[kind] :]:
                self._sometimes_redrive(f"{kind}-{self._handled[kind]}", refusal)
                self._handled[kind] += 1
        requests, recorder.rerating_requests = recorder.rerating_requests, []
        for organization_id, at in requests:
            body = json.dumps({"organizationId": organization_id})
            if at is not None:
                body = later_body(organization_id, at)
            self._put(RERATINGS, body, "wake", visible_at=at)
        queued, recorder.queued = recorder.queued, []
        for work in queued:
            if work.queue == CALLS and is_part(work.body):
                recorder.broken += fits_a_transaction(work.body)
            elif work.queue == CALLS:
                self.on_calls(work.body)
            self._put(work.queue, work.body, "work")

    def _put(self, queue: str, body: str, kind: str, *, visible_at: datetime | None = None) -> None:
        self._handled[kind] += 1
        number = self._handled[kind]
        rng = rng_of(self.scheduler.seed, kind, number)
        self.queues[queue].send(body, f"{kind}-{number}", rng, visible_at=visible_at)

    def _sometimes_redrive(self, name: str, refusal: Refusal) -> None:
        """Have an operator redrive a refused message unchanged."""
        rng = rng_of(self.scheduler.seed, "operator", name)
        if not self.scheduler.happens(Fault.REDRIVE, rng):
            return
        url = self.functions.backend.stack.queues[refusal.queue].url
        for queue in self.queues.values():
            if queue.queue.dead_letter_url == url:
                redrive = partial(queue.send_back, refusal.body, name)
                later = self.scheduler.now + timedelta(seconds=rng.choice((60, 90_000)))
                self.scheduler.add(later, f"{refusal.queue} redrive {name}", redrive)

    def overtake(self) -> bool:
        """Deliver a message while an invocation is under way; return whether there was any."""
        waiting = [queue for queue in self.queues.values() if not queue.is_empty]
        return bool(waiting) and self.scheduler.injector.rng.choice(waiting).deliver_first()

    def settle_once(self) -> bool:
        """Deliver a batch of each queue and stream; return whether there was any."""
        for queue in self.queues.values():
            queue.redrive()
        for stream in self.streams:
            stream.republish(self.recorder)
        self.deliver_writes()
        delivered = [part.deliver_first() for part in self._parts]
        return any(delivered)
