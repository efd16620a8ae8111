"""Runs a plan: real handlers, over a medium that fails, on a bus that does its worst."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, assert_never

from perminute.adapters.sqs_queues import later_body
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.replay.schedules import event_of_run
from perminute_local.simulation.billing import Billing
from perminute_local.simulation.bridges import Bridges, Ended
from perminute_local.simulation.bus import RERATINGS, SimulatedQueue, SimulatedStream
from perminute_local.simulation.corrections import Corrections
from perminute_local.simulation.faults import Fault, chance
from perminute_local.simulation.invariants import (
    Expectations,
    books_of,
    never_charged,
    never_notified,
)
from perminute_local.simulation.masked import grants_of
from perminute_local.simulation.nights import SPOILT_MICROS, checked, spoilt
from perminute_local.simulation.plan import (
    Bridged,
    Corrected,
    Expected,
    Published,
    Rest,
    Said,
    event_body,
)
from perminute_local.simulation.scheduler import Functions, Happenings
from perminute_local.simulation.write_recorder import Broken
from perminute_local.stack import QueueTrigger, ScheduleTrigger, StreamTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute_local.simulation.backend import Medium
    from perminute_local.simulation.fault_injector import Gate
    from perminute_local.simulation.plan import Item, Plan, What
    from perminute_local.simulation.write_recorder import Effects, Kept
    from perminute_local.stack import Trigger

_QUEUES = {
    "telephony": "CallsQueue",
    "licensing": "LicensingQueue",
    "billing": "CreditQueue",
}
_EXPIRY, _RECONCILIATION = "ExpireCreditFunction", "ReconcileBooksFunction"
_WAKE = "QueueReratingsFunction"
_DEEPEST = 2
"""Functions that overtake each other: a third one finds nothing that two do not."""
_MAX_ROUNDS = 200
"""Rounds within which all is settled once nothing goes wrong any more."""
_NIGHTS = 4
"""One night in so many the books are checked, whatever goes wrong: all of them would take longer
than all else."""
_DAY, _MOMENT = timedelta(days=1), timedelta(microseconds=1)
_END = timedelta(days=7)
"""How long a world goes on after the last item: whatever is late has come by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: what broke, if anything did, and the history that led there."""

    broken: Broken | None
    history: tuple[str, ...]
    last: int
    """The number of the item during which it ended."""
    invocations: int
    requests: int
    faults: Mapping[Fault, int]

    @property
    def digest(self) -> str:
        """A short name of the history: the same for the same bytes."""
        return hashlib.sha256("\n".join(self.history).encode()).hexdigest()[:16]


@dataclass
class Simulator:
    """One world, from its first instant to its last."""

    plan: Plan
    medium: Medium
    gate: Gate
    effects: Effects
    expectations: Expectations = field(default_factory=Expectations)
    queues: dict[str, SimulatedQueue] = field(default_factory=dict)
    streams: list[SimulatedStream] = field(default_factory=list)
    schedules: dict[str, ScheduleTrigger] = field(default_factory=dict)
    _woken: int = 0
    _sent: int = 0
    _looked_at: int = 0
    _expired_until: datetime | None = None
    _checked_until: datetime | None = None
    """When the books were checked last, while all was calm."""

    def __post_init__(self) -> None:
        """Put every function where its trigger is."""
        self.happenings = Happenings(self.plan.seed, self.gate)
        self.functions = Functions(
            self.medium, self.gate, self.happenings, self.effects, self._take_note
        )
        self.bridges = Bridges(
            self.happenings, self.functions, self.effects, self._call_ended, self._next_run
        )
        self.corrections = Corrections(self.medium, self.gate, self.happenings, self._take_note)
        self.gate.overtake, self.gate.told = self._overtake, self.happenings.log
        self.effects.authorized |= self.plan.asking
        self.effects.clock = lambda: self.happenings.now
        billing = Billing(self.happenings, self.effects, self._send_bill)
        self.effects.on_published = billing.hear
        self.effects.versions.append(self.plan.card[1])
        self._publish(*self.plan.card)
        for function in self.medium.stack.functions:
            for trigger in function.triggers:
                self._put_at(trigger, function.name)

    def _put_at(self, trigger: Trigger, function: str) -> None:
        match trigger:
            case QueueTrigger(queue=name):
                queue = self.medium.stack.queues[name]
                self.queues[name] = SimulatedQueue(
                    name, queue, trigger, function, self.happenings, self.functions
                )
            case StreamTrigger():
                self.streams.append(
                    SimulatedStream(trigger, function, self.happenings, self.functions)
                )
            case ScheduleTrigger():
                self.schedules[function] = trigger
            case _:
                pass

    @property
    def _parts(self) -> list[SimulatedQueue | SimulatedStream]:
        """All of the bus on which something may be on its way."""
        return [*self.queues.values(), *self.streams]

    def run(self, items: Sequence[Item]) -> Outcome:
        """Have all of it happen, until the end or until something breaks."""
        last, broken = 0, None
        for item in items:
            last = item.number
            broken = (
                self._pass_until(item.at)
                or self._look_at_books()
                or self._happen(item)
                or self._broken()
            )
            if broken:
                break
        if broken is None:
            broken = self._pass_until(self.happenings.now + _END) or self._rest(is_last=True)
        self._write_down()
        return Outcome(
            broken=broken,
            history=tuple(self.happenings.history),
            last=last,
            invocations=self.functions.invocations,
            requests=self.gate.requests,
            faults=+self.gate.happened,
        )

    # ── Time ─────────────────────────────────────────────────────────────────────────────────

    def _pass_until(self, at: datetime) -> Broken | None:
        """Let time pass, and have happen what falls into it."""
        happenings = self.happenings
        while True:
            due, run_at = happenings.next_at(), self._next_expiry()
            if run_at is not None and run_at <= at and (due is None or run_at <= due):
                self._expire(run_at)
            elif due is not None and due <= at:
                happenings.do_next()
            else:
                break
            if broken := self._broken():
                return broken
        happenings.now = max(happenings.now, at)
        return None

    def _expire(self, at: datetime) -> None:
        """Run the daily function on a day on which it finds something; or leave it out."""
        self.happenings.now = self._expired_until = at
        if self.happenings.happens(Fault.CLOCK, chance(self.plan.seed, "expiry", at)):
            self.happenings.log(f"{_EXPIRY} is left out")
        else:
            self._run_schedule(_EXPIRY, at)
        if chance(self.plan.seed, "night", at).randrange(_NIGHTS) == 0:
            self._run_schedule(_RECONCILIATION, at)

    def _next_expiry(self) -> datetime | None:
        """Tell when the daily run next has something to do; it runs once a day."""
        if self.effects.due_at is None:
            return None
        at = max(self.effects.due_at, self.happenings.now)
        if self._expired_until is not None:
            at = max(at, self._expired_until + _MOMENT)
        return self._next_run(at)

    def _next_run(self, at: datetime) -> datetime:
        """Tell when the daily run is next, from an instant on."""
        trigger = self.schedules[_EXPIRY]
        run = datetime.combine(at.date(), time(trigger.hour, trigger.minute), at.tzinfo)
        return run if run >= at else run + _DAY

    def _run_schedule(self, name: str, at: datetime) -> Any:  # noqa: ANN401 - what it answers
        self.happenings.log(f"{name} {format_instant(at)}")
        drawn = chance(self.plan.seed, name, at)
        event = event_of_run(self.schedules[name], at)
        return self.functions.run(name, drawn, lambda one: one.call(event))

    def _overtake(self) -> bool:
        """Have something else happen between two requests of a function."""
        if self.gate.depth > _DEEPEST:
            return False
        if self.happenings.do_meanwhile():
            return True
        waiting = [queue for queue in self.queues.values() if not queue.is_empty]
        return bool(waiting) and self.gate.chance.choice(waiting).deliver_first()

    # ── What happens ─────────────────────────────────────────────────────────────────────────

    def _happen(self, item: Item) -> Broken | None:
        self.happenings.log(f"item {item.number}: {_described(item.what)}")
        if isinstance(item.what, Rest):
            return self._rest()
        if item.after:
            at, begin = item.at + item.after, partial(self._begin, item)
            self.happenings.add(at, f"item {item.label}", begin)
        else:
            self._begin(item)
        return None

    def _begin(self, item: Item) -> None:
        label = item.label
        match item.what:
            case Said(source=source, body=body, expected=expected):
                self._send(source, body, expected, label)
            case Bridged() as call:
                begin = partial(self.bridges.call, label, call)
                self.happenings.add(item.at + item.after, f"item {label}", begin)
            case Published(version=version, content=content):
                self.medium.publish(content, version)
                self.effects.versions.append(version)
                self._publish(content, version)
            case Corrected(version=version, content=content) as corrected:
                self.medium.archive(content, version)
                self._publish(content, version)
                self.corrections.begin(item.number, corrected)
            case Rest():
                pass
            case never:
                assert_never(never)

    def _send(
        self,
        source: str,
        body: str,
        expected: Expected,
        identity: str,
        *,
        promptly: bool = False,
    ) -> None:
        self.expectations.send(source, body, expected, self.happenings.now)
        drawn = chance(self.plan.seed, "bus", identity)
        self.queues[_QUEUES[source]].send(body, identity, drawn, promptly=promptly)

    def _send_bill(self, body: str, identity: str) -> None:
        self._send("billing", body, Expected.EITHER, identity)

    def _publish(self, content: bytes, version: str) -> None:
        self.expectations.cards[version] = read_rate_card(content, version=version)

    def _call_ended(self, ended: Ended) -> None:
        """Have telephony tell of the end of a call: mostly before what it has reserved lapses."""
        now, identity = self.happenings.now, f"ended-{ended.call_id}"
        body = event_body(identity, "telephony", "Call Ended", now, ended.detail)
        self._send("telephony", body, Expected.TAKEN, identity, promptly=ended.promptly)

    def _take_note(self) -> None:
        """Hand on what an invocation has written and sent."""
        records, self.effects.stream = self.effects.stream, []
        for stream in self.streams:
            stream.tell(records)
        for number, kept in enumerate(self.effects.kept[self._looked_at :], self._looked_at):
            self._tell_operator(number, kept)
        self._looked_at = len(self.effects.kept)
        woken, self.effects.woken = self.effects.woken, []
        for organization_id, at in woken:
            self._woken += 1
            body = json.dumps({"organizationId": organization_id})
            if at is not None:
                body = later_body(organization_id, at)
            drawn = chance(self.plan.seed, "wake", self._woken)
            self.queues[RERATINGS].send(body, f"wake-{self._woken}", drawn, visible_at=at)
        sent, self.effects.sent = self.effects.sent, []
        for queue, body in sent:
            self._sent += 1
            drawn = chance(self.plan.seed, "work", self._sent)
            self.queues[queue].send(body, f"work-{self._sent}", drawn)

    def _tell_operator(self, number: int, kept: Kept) -> None:
        """Have somebody send back what was refused, who does not know better."""
        drawn = chance(self.plan.seed, "operator", number)
        if not self.happenings.happens(Fault.REDRIVE, drawn):
            return
        url = self.medium.stack.queues[kept.queue].url
        for queue in self.queues.values():
            if queue.queue.dead_letter_url == url:
                send = partial(queue.send_back, kept.body, f"refused-{number}")
                later = self.happenings.now + timedelta(seconds=drawn.choice((60, 90_000)))
                self.happenings.add(later, f"{kept.queue} redrive {number}", send)

    # ── Rest ─────────────────────────────────────────────────────────────────────────────────

    def _rest(self, *, is_last: bool = False) -> Broken | None:
        """Let everything settle without any fault, and look at the books.

        In the end the daily run is not left out: what is due by then is done.
        """
        self.gate.calm = True
        try:
            if is_last:
                self._run_schedule(_EXPIRY, self.happenings.now)
            broken = (
                self._settle()
                or self._correct()
                or self._night()
                or self._settle()
                or (self._end_the_day() if is_last else None)
                or self._broken()
            )
            broken = broken or next(self._checked(is_last=is_last), None)
            return broken or (self._spoil() if is_last else None)
        finally:
            self.gate.calm = False

    def _settle(self) -> Broken | None:
        for _ in range(_MAX_ROUNDS):
            if broken := self._broken():
                return broken
            for queue in self.queues.values():
                queue.redrive()
            for stream in self.streams:
                stream.republish(self.effects)
            self._take_note()
            progress = [part.deliver_first() for part in self._parts]
            if not any(progress):
                return None
        return Broken("everything settles", f"something still moves after {_MAX_ROUNDS} rounds")

    def _correct(self) -> Broken | None:
        """Have corrections that broke off repeated, and pools settled after them."""
        self.corrections.repeat()
        return self._settle()

    def _night(self) -> Broken | None:
        """Have what was forgotten woken, and then the books checked."""
        self._run_schedule(_WAKE, self.happenings.now)
        for stream in self.streams:
            stream.forgotten = False
        at = self._next_night()
        broken = self._settle() or self._run_night(at)
        return broken or next(
            (
                broken
                for name in self.plan.organizations
                for broken in checked(name, self.medium.seen(name), at)
            ),
            None,
        )

    def _end_the_day(self) -> Broken | None:
        """Have the digests sent of all days, as if they were over."""
        at = self.effects.calls.ended_at = self.happenings.now
        event = event_of_run(self.schedules[_EXPIRY], at)
        event["daysUntil"] = format_instant(at + 2 * _DAY)
        drawn = chance(self.plan.seed, "the end of the day")
        self.functions.run(_EXPIRY, drawn, lambda one: one.call(event))
        return self._settle()

    def _next_night(self) -> datetime:
        """Give each night a time of its own: what was checked once is not checked again."""
        at = self.happenings.now
        if self._checked_until is not None:
            at = max(at, self._checked_until + _MOMENT)
        self._checked_until = at
        return at

    def _run_night(self, at: datetime) -> Broken | None:
        self._run_schedule(_RECONCILIATION, at)
        return self._settle()

    def _spoil(self) -> Broken | None:
        """Add a cent to a balance that no entry says: it is found night after night, and mended."""
        seen = {name: self.medium.seen(name) for name in self.plan.organizations}
        name = next((name for name, one in seen.items() if one.account.entries), None)
        if name is None:
            return None
        self.medium.spoil(name, SPOILT_MICROS)
        for _ in range(2):
            broken = self._run_night(self._next_night())
            broken = broken or next(spoilt(name, self.medium.seen(name)), None)
            if broken:
                return broken
        self.medium.spoil(name, -SPOILT_MICROS)
        at = self._next_night()
        return self._run_night(at) or next(checked(name, self.medium.seen(name), at), None)

    def _checked(self, *, is_last: bool) -> Iterator[Broken]:
        """Hold the books against what was sent; write down how they stand."""
        seen = {name: self.medium.seen(name) for name in self.plan.organizations}
        yield from self.expectations.check(seen, self.effects, self.happenings.now)
        if is_last:
            yield from never_charged(seen, self.effects, self.happenings.now)
            yield from never_notified(seen, self.effects)
        yield from self._refused_once()
        yield from self.corrections.finish(seen)

    def _look_at_books(self) -> Broken | None:
        """Look at the books that have changed, if nothing is on its way that may change them."""
        if not all(part.is_empty for part in self._parts):
            return None
        changed, self.effects.changed = self.effects.changed, set()
        for name in sorted(changed):
            seen = self.medium.seen(name)
            grants = grants_of(name, seen, self.expectations.cards)
            if broken := next(chain(books_of(name, seen, self.happenings.now), grants), None):
                return broken
        return None

    def _refused_once(self) -> Iterator[Broken]:
        """What was refused was kept once each time it came; and where keeping failed, perhaps."""
        received, settled = Counter[str](), Counter[str]()
        for queue in self.queues.values():
            received += queue.received
            settled += queue.settled
        for body, times in Counter(kept.body for kept in self.effects.kept).items():
            sent = self.expectations.sent.get(body)
            may_be_taken = sent is not None and sent.expected is Expected.ONCE_KNOWN
            least = 1 if may_be_taken else settled[body]
            if not least <= times <= received[body]:
                why = f"it came {received[body]} times and was kept {times} times: {body}"
                yield Broken("what is wrong is refused once", why)

    def _broken(self) -> Broken | None:
        return self.effects.broken[0] if self.effects.broken else None

    def _write_down(self) -> None:
        """Add to the history how each organization stands in the end."""
        for name in self.plan.organizations:
            seen = self.medium.seen(name)
            account = seen.account
            self.happenings.log(
                f"{name} at version {account.version}: {format_micros(account.balance_micros)} in "
                f"{len(account.lots)} lots, {account.entries} entries, "
                f"{format_micros(account.reserved.amount_at(self.happenings.now))} reserved"
            )
            for call_id in sorted(seen.usages):
                usage = seen.usages[call_id]
                self.happenings.log(
                    f"{name} {call_id}: {usage.outcome} {usage.reason or ''} "
                    f"{format_micros(usage.charge_micros)}, {usage.pool_minutes} minutes of the "
                    f"pool, entry {usage.entry_id}, {' '.join(usage.flags)}"
                )


def _described(what: What) -> str:
    """Say what happens, in a line."""
    match what:
        case Said(body=body):
            event = json.loads(body)
            return f"{event['detail-type']} {json.dumps(event['detail'])}"
        case Published(version=version):
            return f"rate card {version}"
        case Corrected(version=version, organization_id=organization_id):
            return f"calls of {organization_id} are corrected by rate card {version}"
        case Bridged():
            return str(what)
        case Rest():
            return "all is to settle"
        case never:
            assert_never(never)
