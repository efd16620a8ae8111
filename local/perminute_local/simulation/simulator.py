"""Deterministic simulation testing: the whole system in one process, driven by one seed.

The idea is that of FoundationDB and TigerBeetle. The code under test is real: the functions' own
handlers, invoked as Lambda invokes them. All around it is simulated and may fail: the systems that
send events, the bus, queues and streams, and every request to AWS. There is no real clock: the
simulator owns the time, and runs one task after the other, each to its end; threads of a function
take turns (`turns`). All random numbers come from the seed, so a world has exactly one history, and
what fails once fails again. Then `shrinking` looks for the shortest plan that fails.

`Simulator.run` is the loop: for each item of the plan, let time pass and run what becomes due (a
message is delivered, a bridge reports, the daily run begins), then have the item happen. After each
of these the `write_recorder` may have found a broken invariant. Now and then faults stop until
everything has settled, and all invariants are checked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, assert_never

from perminute.domain.errors import Contended
from perminute.domain.values.times import format_instant
from perminute_local.replay.lambda_runtime import event_of_run
from perminute_local.simulation.api_client import ApiClient
from perminute_local.simulation.billing import Billing
from perminute_local.simulation.bridges import Bridges, CallEnd
from perminute_local.simulation.call_records import CallRecordSenders, calls_sent
from perminute_local.simulation.corrections import Corrections
from perminute_local.simulation.faults import Fault, rng_of
from perminute_local.simulation.invariants.books import checked, differences_found
from perminute_local.simulation.invariants.calls import charged_in_the_end, covered_at_any_price
from perminute_local.simulation.invariants.events import EventLog, refused_once
from perminute_local.simulation.invariants.invariant import everything_settles, reads_stored
from perminute_local.simulation.invariants.notifications import notified_in_the_end
from perminute_local.simulation.invariants.organization import books_of
from perminute_local.simulation.plan import (
    CallPlaced,
    CallsErased,
    DirectoryPublished,
    EventSent,
    NumbersMasked,
    ObjectDropped,
    Quiesce,
    RateCardPublished,
    RatesCorrected,
    RecordPosted,
    ReportRequested,
    described,
    event_sent,
)
from perminute_local.simulation.privacy import Privacy
from perminute_local.simulation.queues import MessageBus
from perminute_local.simulation.report_client import ReportClient
from perminute_local.simulation.scheduler import Functions, Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute_local.simulation.backends.backend import Backend, Snapshot
    from perminute_local.simulation.backends.records import SimulatedRecords
    from perminute_local.simulation.faults import FaultInjector
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.plan import Item, Plan
    from perminute_local.simulation.write_recorder import WriteRecorder

_EXPIRY, _RECONCILIATION = "ExpireCreditFunction", "ReconcileBooksFunction"
_QUEUE_RERATINGS = "QueueReratingsFunction"
_DEEPEST = 2  # functions that overtake each other: a third one finds nothing more
_MAX_ROUNDS = 1_000
"""Rounds within which everything has settled without faults; hundreds may be checks of books."""
_NIGHTS_PER_CHECK = 4
"""Nights of which one has a check of the books: more would take longer than all else."""
_RUNS_IN_A_ROW = 8
"""Daily runs between two items, as in a year without any, before they become rare."""
_MOST_DOUBLINGS = 7
"""Of the days between two of these: then they are four months apart."""
_DAY, _MOMENT = timedelta(days=1), timedelta(microseconds=1)
_END = timedelta(days=7)
"""How long a world goes on after the last item: whatever is late has arrived by then."""
_CENT_MICROS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    broken: Broken | None
    history: tuple[str, ...]
    last: int
    """The number of the item during which it ended."""
    invocations: int
    requests: int
    faults: Mapping[Fault, int]

    @property
    def digest(self) -> str:
        """A short hash of the history."""
        return hashlib.sha256("\n".join(self.history).encode()).hexdigest()[:16]


@dataclass
class Simulator:
    """One world, from its first instant to its last."""

    plan: Plan
    backend: Backend
    injector: FaultInjector
    recorder: WriteRecorder
    records: SimulatedRecords
    events: EventLog = field(default_factory=EventLog)
    _expired_until: datetime | None = None
    _runs: int = 0  # daily runs since the last item
    _last_night: datetime | None = None

    def __post_init__(self) -> None:
        """Connect the parts with each other."""
        recorder = self.recorder
        self.scheduler = Scheduler(self.plan.seed, self.injector)
        self.functions = Functions(self.backend, self.injector, recorder)
        self.bus = MessageBus(self.scheduler, self.functions, recorder)
        api = ApiClient(self.scheduler, self.functions, recorder)
        self.bridges = Bridges(api, self.scheduler, recorder, self._end_call, self._next_run)
        self.reports = ReportClient(self.scheduler, self.functions, recorder)
        self.senders = CallRecordSenders(self.bus, self.records, recorder.records)
        self.bus.on_calls = lambda body: self.events.send(calls_sent(body), self.scheduler.now)
        self.corrections = Corrections(self.backend, self.scheduler, self.bus.deliver_writes)
        self.privacy = Privacy(self.backend, self.bus, self.events, recorder, self._settle)
        self.schedules = self.backend.stack.schedules()
        self.functions.after = self.bus.deliver_writes
        self.injector.overtake, self.injector.log = self._overtake, self.scheduler.log
        recorder.authorizing |= self.plan.authorizing
        recorder.clock = lambda: self.scheduler.now
        recorder.on_published = Billing(self.scheduler, recorder, self._send).receive
        content, version = self.plan.card
        recorder.versions.append(version)
        self.events.publish(content, version)

    def run(self, items: Sequence[Item]) -> Outcome:
        """Run the items of a plan until the end, or until an invariant breaks."""
        last, broken = 0, None
        for item in items:
            last = item.number
            broken = (
                self._pass_time(item.at)
                or self._check_changed_books()
                or self._happen(item)
                or self._first_broken()
            )
            if broken:
                break
        if broken is None:
            broken = self._pass_time(self.scheduler.now + _END) or self._quiesce(is_last=True)
        with suppress(Contended):  # what is stored in a broken world may contradict itself
            self._log_balances()
        return Outcome(
            broken=broken,
            history=tuple(self.scheduler.history),
            last=last,
            invocations=self.functions.invocations,
            requests=self.injector.requests,
            faults=+self.injector.happened,
        )

    def _first_broken(self) -> Broken | None:
        return self.recorder.broken[0] if self.recorder.broken else None

    # ── Time ─────────────────────────────────────────────────────────────────────────────────

    def _pass_time(self, until: datetime) -> Broken | None:
        """Run what is due until an instant, and set the clock to it."""
        scheduler, self._runs = self.scheduler, 0
        while True:
            due, run_at = scheduler.next_at(), self._next_expiry()
            if run_at is not None and run_at <= until and (due is None or run_at <= due):
                self._expire(run_at)
            elif due is not None and due <= until:
                scheduler.run_next()
            else:
                break
            if broken := self._first_broken():
                return broken
        scheduler.now = max(scheduler.now, until)
        return None

    def _expire(self, at: datetime) -> None:
        """Run the daily function on a day on which it has work; or skip it."""
        self.scheduler.now = self._expired_until = at
        self._runs += 1
        if self.scheduler.happens(Fault.CLOCK, rng_of(self.plan.seed, "expiry", at)):
            self.scheduler.log(f"{_EXPIRY} is left out")
        else:
            self._run_schedule(_EXPIRY, at)
        if rng_of(self.plan.seed, "night", at).randrange(_NIGHTS_PER_CHECK) == 0:
            self._run_schedule(_RECONCILIATION, at)

    def _next_expiry(self) -> datetime | None:
        """Return when the daily run next has work; it runs once a day.

        A recharge that nobody pays is requested each day. In a year in which nothing else happens,
        the days between two runs soon double each time: one more day of it shows nothing new.
        """
        if self.recorder.due_at is None:
            return None
        at = max(self.recorder.due_at, self.scheduler.now)
        if self._expired_until is not None:
            left_out = 2 ** min(max(0, self._runs - _RUNS_IN_A_ROW), _MOST_DOUBLINGS) - 1
            at = max(at, self._expired_until + left_out * _DAY + _MOMENT)
        return self._next_run(at)

    def _next_run(self, at: datetime) -> datetime:
        trigger = self.schedules[_EXPIRY]
        run = datetime.combine(at.date(), time(trigger.hour, trigger.minute), at.tzinfo)
        return run if run >= at else run + _DAY

    def _run_schedule(self, name: str, at: datetime) -> None:
        self.scheduler.log(f"{name} {format_instant(at)}")
        event = event_of_run(self.schedules[name], at)
        self._invoke(name, event, name, at)

    def _invoke(self, name: str, event: dict[str, Any], *label: object) -> None:
        rng = rng_of(self.plan.seed, *label)
        self.functions.run(name, rng, lambda function: function.call(event))

    def _overtake(self) -> bool:
        if self.injector.depth > _DEEPEST:
            return False
        return self.scheduler.run_meanwhile() or self.bus.overtake()

    # ── Items of the plan ────────────────────────────────────────────────────────────────────

    def _happen(self, item: Item) -> Broken | None:
        self.scheduler.log(f"item {item.number}: {described(item.action)}")
        if isinstance(item.action, Quiesce):
            return self._quiesce()
        if item.after:
            begin = partial(self._begin, item)
            self.scheduler.add(item.at + item.after, f"item {item.label}", begin)
        else:
            self._begin(item)
        return None

    def _begin(self, item: Item) -> None:
        match item.action:
            case EventSent() as event:
                self._send(event, item.label)
            case CallPlaced() as call:
                begin = partial(self.bridges.call, item.label, call)
                self.scheduler.add(item.at + item.after, f"item {item.label}", begin)
            case RateCardPublished(version, content):
                self.backend.publish(content, version)
                self.recorder.versions.append(version)
                self.events.publish(content, version)
            case RatesCorrected(version, content) as corrected:
                self.backend.store_version(content, version)
                self.events.publish(content, version)
                self.corrections.begin(item.number, corrected)
            case NumbersMasked() | CallsErased() as private:
                self.privacy.begin(item.number, private)
            case ReportRequested() as requested:
                self.reports.request(requested, item.label)
            case ObjectDropped() | RecordPosted() | DirectoryPublished() as of_records:
                self.senders.begin(of_records, item.label)
            case Quiesce():
                pass
            case never:
                assert_never(never)

    def _send(self, event: EventSent, identity: str, *, promptly: bool = False) -> None:
        self.events.send(event, self.scheduler.now)
        self.bus.send(event, identity, promptly=promptly)

    def _end_call(self, end: CallEnd) -> None:
        """Send the `Call Ended`: mostly before what the call has reserved lapses."""
        identity = f"ended-{end.call_id}"
        event = event_sent(identity, "Call Ended", self.scheduler.now, end.detail)
        self._send(event, identity, promptly=end.promptly)

    # ── Quiescence ───────────────────────────────────────────────────────────────────────────

    @reads_stored
    def _quiesce(self, *, is_last: bool = False) -> Broken | None:
        """Let everything settle without faults, and check all invariants.

        In the end the daily run is not skipped: what is due by then is done.
        """
        self.injector.is_off = True
        try:
            if is_last:
                self._run_schedule(_EXPIRY, self.scheduler.now)
            return (
                self._settle()
                or self._repeat_corrections()
                or self.privacy.go_on()
                or self._have_books_checked()
                or self._settle()
                or (self._end_the_day() or self.privacy.finish() if is_last else None)
                or next(self._check(is_last=is_last), None)
                # After what is stored: of two promises that a bug breaks, its own is named.
                or (self.reports.request_last() if is_last else None)
                or (self._corrupt_a_balance() if is_last else None)
            )
        finally:
            self.injector.is_off = False

    def _settle(self) -> Broken | None:
        for _ in range(_MAX_ROUNDS):
            if broken := self._first_broken():
                return broken
            if not self.bus.settle_once():
                return None
        return everything_settles(f"messages are delivered after {_MAX_ROUNDS} rounds")[0]

    def _repeat_corrections(self) -> Broken | None:
        self.corrections.repeat()
        return self._settle()

    def _have_books_checked(self) -> Broken | None:
        self._run_schedule(_QUEUE_RERATINGS, self.scheduler.now)
        for stream in self.bus.streams:
            stream.forgotten = False
        at = self._next_night()
        found = chain.from_iterable(checked(*snapshot, at) for snapshot in self._snapshots())
        return self._settle() or self._run_night(at) or next(found, None)

    def _end_the_day(self) -> Broken | None:
        at = self.recorder.digests.all_days_ended_at = self.scheduler.now
        event = event_of_run(self.schedules[_EXPIRY], at)
        event["daysUntil"] = format_instant(at + 2 * _DAY)
        self._invoke(_EXPIRY, event, "the end of the day")
        return self._settle()

    def _next_night(self) -> datetime:
        """Return a time that no night had before: what was checked once is not checked again."""
        at = self.scheduler.now
        if self._last_night is not None:
            at = max(at, self._last_night + _MOMENT)
        self._last_night = at
        return at

    def _run_night(self, at: datetime) -> Broken | None:
        self._run_schedule(_RECONCILIATION, at)
        return self._settle()

    def _corrupt_a_balance(self) -> Broken | None:
        """Add a cent to a balance, which must be found in each night until it is taken back."""
        funded = (name for name, stored in self._snapshots() if stored.account.entries)
        name = next(funded, None)
        if name is None:
            return None
        self.backend.corrupt(name, _CENT_MICROS)
        for _ in range(2):
            broken = self._run_night(self._next_night())
            broken = broken or next(differences_found(name, self.backend.snapshot(name)), None)
            if broken:
                return broken
        self.backend.corrupt(name, -_CENT_MICROS)
        at = self._next_night()
        return self._run_night(at) or next(checked(name, self.backend.snapshot(name), at), None)

    # ── Checks ───────────────────────────────────────────────────────────────────────────────

    def _snapshots(self) -> Iterator[tuple[str, Snapshot]]:
        return ((name, self.privacy.snapshot(name)) for name in self.plan.organizations)

    def _check(self, *, is_last: bool) -> Iterator[Broken]:
        if broken := self._first_broken():
            yield broken
        snapshots = dict(self._snapshots())
        yield from self.events.check(snapshots, self.recorder, self.scheduler.now)
        yield from self.recorder.records.check(snapshots, self.scheduler.now)
        if is_last:
            yield from charged_in_the_end(self.recorder, snapshots, self.scheduler.now)
            yield from notified_in_the_end(self.recorder, snapshots)
        refused = Counter(refusal.body for refusal in self.recorder.refused)
        yield from refused_once(self.events, refused, self.bus.received, self.bus.settled)
        yield from self.corrections.finish(snapshots)

    @reads_stored
    def _check_changed_books(self) -> Broken | None:
        """Check the books that have changed, if nothing is under way that may change them."""
        if not self.bus.is_empty:
            return None
        changed, self.recorder.changed = self.recorder.changed, set()
        for name in sorted(changed):
            stored = self.privacy.snapshot(name)
            grants = covered_at_any_price(stored, self.events.cards)
            if broken := next(chain(books_of(name, stored, self.scheduler.now), grants), None):
                return broken
        return None

    def _log_balances(self) -> None:
        for name, stored in self._snapshots():
            for line in stored.in_words(self.scheduler.now):
                self.scheduler.log(f"{name} {line}")
