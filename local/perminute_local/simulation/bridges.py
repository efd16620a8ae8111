"""Bridges that ask before they connect anybody, and obey (docs/charging-api.md).

They report before they must, and begin to hang up by `hangUpAfterSeconds`; that takes a moment. A
request without an answer is sent again, as it is; if none ever comes, the call does not take place
or ends in time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from perminute.domain.authorization.reservations import DEFAULT_QUOTA_SECONDS
from perminute.domain.values.times import format_instant, parse_instant
from perminute_local.simulation.api_client import CallProgress, in_short
from perminute_local.simulation.faults import rng_of
from perminute_local.simulation.invariants.calls import (
    lapsed_grant_is_not_repeated,
    within_grant,
)
from perminute_local.simulation.plan import EndReported
from perminute_local.simulation.workloads.events import (
    sometimes_in_full,
    spelled,
    unknown_fields,
    withheld,
)
from perminute_local.simulation.write_recorder import RESERVING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from random import Random

    from perminute_local.simulation.api_client import ApiClient, Document
    from perminute_local.simulation.plan import CallPlaced
    from perminute_local.simulation.scheduler import Scheduler
    from perminute_local.simulation.write_recorder import CallKey, WriteRecorder

_TRIES = 6
_PAUSE = timedelta(seconds=1)
_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class CallEnd(NamedTuple):
    """A `Call Ended` of telephony."""

    detail: dict[str, Any]
    call_id: str
    promptly: bool = True


class Bridges(NamedTuple):
    """What all bridges share."""

    api: ApiClient
    scheduler: Scheduler
    recorder: WriteRecorder
    on_ended: Callable[[CallEnd], None]
    next_run: Callable[[datetime], datetime]
    """Returns when the daily run is next."""

    def call(self, label: str, placed: CallPlaced) -> None:
        """Begin a call, if it is authorized."""
        seed = self.scheduler.seed
        rng, spelling = rng_of(seed, "bridge", label), rng_of(seed, "spelling", label)
        Call(self, f"call-{label}", placed, rng, spelling).begin()


@dataclass
class Call:
    """One call as its bridge knows it."""

    bridges: Bridges
    call_id: str
    placed: CallPlaced
    rng: Random
    spelling: Random
    """By it users and callers are written, differently in each request."""
    tries: int = 0
    """How often the current request was sent without an answer."""
    sequence: int = 0
    reported: int = 0
    """Seconds."""
    granted_until: tuple[int, int] = (0, 0)
    """Until which second of the call it is granted by the last answer but one, and by the last."""
    hang_up_after: int = 0
    begun_at: datetime | None = None
    answered_at: datetime | None = None
    is_over: bool = False
    is_unsure: bool = False
    """Whether it cannot know if its last report was taken."""
    refused_at: int | None = None
    """The sequence number of the last request that was refused as a false report."""
    path: dict[str, str] = field(init=False)
    withholds: bool = field(init=False)
    """Whether the caller withholds the number."""

    def __post_init__(self) -> None:
        self.path = {"organizationId": self.placed.organization_id, "callId": self.call_id}
        self.withholds = self.spelling.randrange(3) == 0

    # ── From the first request to the last ───────────────────────────────────────────────────

    def begin(self) -> None:
        """Request an authorization, repeatedly if there is no answer."""
        self.begun_at = self.begun_at or self._now
        body = {**self._facts(), "sequence": 0}
        if self.placed.requests is not None:
            body["requestedSeconds"] = self.placed.requests
        answer = self._ask("authorize", body)
        self.bridges.api.check_user(self, answer)
        if answer is None:
            self._later(self.begin, otherwise=self._fail_open)
        elif self._accept(answer):
            self._recorder.authorize(self.key, answer["paidBy"])
            if self.placed.behavior.outlasts_grant:
                self._wait_until_lapsed(body, answer["paidBy"])
                return
            self.answered_at = self._now + self.placed.rings * _SECOND
            self._go_on() if self.hang_up_after else self._hang_up()

    def _wait_until_lapsed(self, body: Document, paid_by: str) -> None:
        # What costs nothing never lapses.
        if paid_by in RESERVING:
            # A repeated request may have been answered: then it was granted some seconds ago.
            lapses_at = self._recorder.reserved_until[self.key] + _TRIES * _PAUSE
            self._at(lapses_at, partial(self._repeat_lapsed, body))

    def _repeat_lapsed(self, body: Document) -> None:
        self.tries = _TRIES
        answer = self._ask("authorize", body)
        if answer and (answer["decision"], answer["reason"]) != ("deny", "grantLapsed"):
            why = f"{self.call_id} was answered {in_short(answer)}"
            self._recorder.broken += lapsed_grant_is_not_repeated(why)

    def _fail_open(self) -> None:
        """Connect the call unauthorized, if its bridge does so: nothing can be promised then."""
        if self.placed.fails_open:
            self._recorder.excused.add(self.placed.organization_id)
            self.answered_at = self._now + self.placed.rings * _SECOND
            self._at(self.answered_at + self.placed.lasts * _SECOND, self._hang_up)

    def _go_on(self) -> None:
        ends_at, must_at = self._ends_at, self._must_hang_up_at
        first = self._first_report_at
        if first is not None and self._now <= first < min(ends_at, must_at):
            self._at(first, partial(self._sometimes_restart, self._report))
        elif ends_at <= must_at:
            self._at(ends_at, partial(self._sometimes_restart, self._hang_up))
        elif must_at <= self._now:
            self._begin_to_hang_up()
        else:
            early = self.rng.choice((1, 2, 4, 8)) * _SECOND
            soon = min(self._now + _SECOND, must_at)
            report = partial(self._sometimes_restart, self._report)
            self._at(max(soon, must_at - early), report)

    def _report(self) -> None:
        self.sequence += 1
        used = self._connected // _SECOND
        self._report_falsely("update", used)
        body = {"sequence": self.sequence, **self._usage(used)}
        if self.placed.behavior.requests_later is not None:
            body["requestedSeconds"] = self.placed.behavior.requests_later
        self._update(body, used)

    def _update(self, body: Document, used: int) -> None:
        answer = self._ask("update", body)
        if answer is None or self.placed.behavior.loses_answers:
            self._later(partial(self._update, body, used), otherwise=self._give_up)
            return
        self.reported = used
        if self._accept(answer):
            self._go_on()
        else:
            self._sometimes_restart(self._begin_to_hang_up, "denied")

    def _give_up(self) -> None:
        """End the call, since no answer extends it; or rely on the grant before."""
        self.is_unsure = True
        if not self.placed.behavior.loses_answers:
            self._begin_to_hang_up()
        elif self._ends_at <= self._must_hang_up_at:
            self._at(self._ends_at, self._hang_up)
        else:
            self._at(self._must_hang_up_at, self._begin_to_hang_up)

    def _begin_to_hang_up(self) -> None:
        self._at(self._now + self.placed.behavior.hang_up_time, self._hang_up)

    def _hang_up(self) -> None:
        self.is_over = True
        lasted = self._connected
        seconds = -(-lasted // _SECOND)
        detail = self._end_detail(lasted)
        self.tries = 0
        self.sequence += 1
        if self.placed.releases:
            self._report_falsely("release", seconds)
        self._have_end_reported(detail, seconds)
        if self.placed.organization_id not in self._recorder.excused:
            # The last answer may not have arrived, so the one before counts if that is longer.
            granted = max(self.granted_until)
            self._recorder.broken += within_grant(self.call_id, lasted, granted)
        if self.placed.releases:
            self._release({"sequence": self.sequence, **self._usage(seconds)}, seconds)

    def _release(self, body: Document, used: int) -> None:
        if self.bridges.api.ask("release", self, body) is None:
            self._later(partial(self._release, body, used))
        elif self._recorder.reports[self.key].totals == {used}:
            self._recorder.fully_reported.add(self.key)
            self.reported = used
            self.granted_until = self.granted_until[1], self.reported
            self._restart("released", "ended")

    # ── The end, as telephony reports it ─────────────────────────────────────────────────────

    def _end_detail(self, lasted: timedelta) -> Document:
        skew = self.placed.behavior.clock_skew * _SECOND
        detail = {
            **self._facts(),
            "answeredAt": format_instant(self._answered + skew) if lasted else None,
            "endedAt": format_instant(self._now + skew),
        }
        if self.placed.leg_type == "dialOut":
            rng = rng_of(self.bridges.scheduler.seed, "in full", self.call_id)
            detail["remoteNumber"] = sometimes_in_full(self.placed.number, rng)
        return {**self.path, **detail}

    def _have_end_reported(self, detail: Document, seconds: int) -> None:
        match self.placed.end_reported:
            case EndReported.PROMPTLY:
                self.bridges.on_ended(CallEnd(detail, self.call_id))
                return
            case EndReported.LATE:
                at = self._now + self.rng.randint(80 * 60, 100 * 60) * _MINUTE
            case EndReported.WITH_THE_RUN:
                at = self.bridges.next_run(self._now + self.rng.choice((3, 74)) * _HOUR)
            case EndReported.NEVER:
                return
            case never:
                assert_never(never)
        end = CallEnd(detail, self.call_id, promptly=False)
        report = partial(self._report_end_late, end, seconds)
        self.bridges.scheduler.add(at, f"telephony {self.call_id}", report)

    def _report_end_late(self, end: CallEnd, seconds: int) -> None:
        if self.key not in self._recorder.fully_reported and seconds:
            # What was not reported until now need not be covered by credit any more.
            self._recorder.excused.add(self.placed.organization_id)
        self.bridges.on_ended(end)

    # ── Requests ─────────────────────────────────────────────────────────────────────────────

    def _ask(self, name: str, body: Document) -> Document | None:
        return self.bridges.api.ask(name, self, self.repeated(name, body) if self.tries else body)

    def repeated(self, name: str, body: Document) -> Document:
        """Return a request as it is repeated, perhaps with the default stated."""
        if name == "release" or not self.placed.behavior.states_default:
            return body
        return {"requestedSeconds": self.placed.requests or DEFAULT_QUOTA_SECONDS, **body}

    def _usage(self, seconds: int) -> dict[str, int]:
        """Return the total, or what was used since the report before if that surely arrived."""
        if self.placed.behavior.reports_totals or self.is_unsure:
            return {"totalUsedSeconds": seconds}
        return {"usedSeconds": seconds - self.reported}

    def _report_falsely(self, name: str, used: int) -> None:
        since = self._now - (self.begun_at or self._now)
        seconds = self.placed.behavior.false_seconds(name, self.reported, used, since)
        if seconds is not None:
            body = {"sequence": self.sequence, "usedSeconds": seconds}
            self.bridges.api.report_falsely(name, self, body)

    def _facts(self) -> Document:
        call = self.placed
        if call.leg_type == "dialOut":
            numbers = {"remoteNumber": call.number}
        else:
            number = withheld(self.spelling) if self.withholds else call.number
            numbers = {"serviceNumber": "+18005550199", "remoteNumber": number}
        return {
            "organizerId": spelled(self.spelling, call.organizer_id),
            "meetingId": "meeting-1",
            "meetingType": "scheduled",
            "legType": call.leg_type,
            **numbers,
            **(unknown_fields(self.spelling) if self.spelling.randrange(4) == 0 else {}),
        }

    def _accept(self, answer: Document) -> bool:
        self.tries = 0
        granted = answer["grantedSeconds"]
        self.granted_until = self.granted_until[1], self.reported + granted
        if answer["decision"] != "allow" or not granted:
            return False
        self.hang_up_after = answer["hangUpAfterSeconds"]
        # For twice that time all that is reserved stays reserved (see AnswerDocument.valid_until).
        lasts = parse_instant(answer["validUntil"]) - self._now
        self._recorder.reserved_until[self.key] = self._now + 2 * lasts
        return True

    def _later(
        self, again: Callable[[], None], otherwise: Callable[[], None] | None = None
    ) -> None:
        """Repeat a request in a moment; after some tries, or when it must hang up, do otherwise."""
        self.tries += 1
        at = self._now + _PAUSE
        talks = self.answered_at is not None and not self.is_over
        if self.tries < _TRIES and not (talks and at > self._must_hang_up_at):
            self._at(at, again)
        elif otherwise is not None:
            otherwise()

    def _at(self, at: datetime, does: Callable[[], None]) -> None:
        name = f"bridge {self.call_id} {self.sequence}.{self.tries}"
        self.bridges.scheduler.add(at, name, does)

    # ── Restarts ─────────────────────────────────────────────────────────────────────────────

    def _sometimes_restart(self, then: Callable[[], None], state: str = "underWay") -> None:
        """Go on; now and then by what the API knows of the call, and nothing else."""
        document = self._restart(state)
        if document is not None:
            self.sequence, self.reported, granted = CallProgress.of(document)
            self.granted_until = self.granted_until[0], self.reported + granted
            self.hang_up_after = document["hangUpAfterSeconds"] or self.hang_up_after
        then()

    def _restart(self, *states: str) -> Document | None:
        granted = self.granted_until[1] - self.reported
        known = CallProgress(self.sequence, self.reported, granted)
        return self.bridges.api.restart(self.path, known, states)

    # ── What it knows ────────────────────────────────────────────────────────────────────────

    @property
    def key(self) -> CallKey:
        """What identifies the call."""
        return self.placed.organization_id, self.call_id

    @property
    def _recorder(self) -> WriteRecorder:
        return self.bridges.recorder

    @property
    def _now(self) -> datetime:
        return self.bridges.scheduler.now

    @property
    def _answered(self) -> datetime:
        return self.answered_at or self._now

    @property
    def _connected(self) -> timedelta:
        return max(timedelta(), self._now - self._answered)

    @property
    def _ends_at(self) -> datetime:
        return self._answered + self.placed.lasts * _SECOND + self.placed.behavior.extra_time

    @property
    def _first_report_at(self) -> datetime | None:
        """When it reports first, if not just before it must; None once it has."""
        seconds = self.placed.behavior.first_report_at
        return None if seconds is None or self.sequence else self._answered + seconds * _SECOND

    @property
    def _must_hang_up_at(self) -> datetime:
        return self._answered + self.hang_up_after * _SECOND
