"""Bridges that ask before they put somebody through, and do as they are told (docs/charging-api).

They report before they must, and begin to hang up by `hangUpAfterSeconds`; that takes a moment. A
request without an answer is sent again, as it is; if none ever comes, the call does not take place
or ends in time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from perminute.api.endpoints import BY_NAME
from perminute.domain.authorization.reservations import DEFAULT_QUOTA_SECONDS
from perminute.domain.values.times import format_instant, parse_instant
from perminute_local.replay.requests import http_event
from perminute_local.simulation.answers import Answered
from perminute_local.simulation.faults import Fault, chance
from perminute_local.simulation.invariants import unknown_user
from perminute_local.simulation.masked import sometimes_in_full
from perminute_local.simulation.plan import Told
from perminute_local.simulation.restarts import Known, restarted
from perminute_local.simulation.slips import REFUSED, Report, slip_of
from perminute_local.simulation.spelling import ignored, spelled, withheld
from perminute_local.simulation.write_recorder import RESERVING, Broken
from perminute_local.stack import ApiTrigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from random import Random

    from perminute_local.simulation.plan import Bridged
    from perminute_local.simulation.scheduler import Functions, Happenings
    from perminute_local.simulation.write_recorder import Effects, Reports

_OK, _INVALID, _CONFLICT = 200, 400, 409
_TRIES = 6
_LAPSED = ("deny", "grantLapsed")
LAPSED = "a grant that has lapsed is not given again"
WITHIN_GRANT = "a bridge that obeys stays within its grant"
_PAUSE = timedelta(seconds=1)
_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Ended(NamedTuple):
    """What telephony says of a call that is over; `promptly`, or long after."""

    detail: dict[str, Any]
    call_id: str
    promptly: bool = True


@dataclass
class Bridges:
    """All bridges of a world, and what they share."""

    happenings: Happenings
    functions: Functions
    effects: Effects
    on_ended: Callable[[Ended], None]
    next_run: Callable[[datetime], datetime]
    """Says when the daily run is next."""

    def call(self, label: str, call: Bridged) -> None:
        """Begin a call, if it may."""
        seed = self.happenings.seed
        drawn, spelling = chance(seed, "bridge", label), chance(seed, "spelling", label)
        _Call(self, f"call-{label}", call, drawn, spelling).begin()

    @property
    def api(self) -> str:
        """Name the function behind the API."""
        (name,) = (
            function.name
            for function in self.functions.medium.stack.functions
            if any(isinstance(one, ApiTrigger) for one in function.triggers)
        )
        return name

    def ask(self, name: str, call: _Call, body: dict[str, Any]) -> dict[str, Any] | None:
        """Ask the function behind the API; None if there is no answer."""
        happenings, path = self.happenings, call.path
        drawn = chance(happenings.seed, name, call.call_id, body["sequence"], call.tries)
        with self.effects.watched(path["organizationId"]) as accounts:
            status, answer = self._ask(name, call, body, drawn)
        self._take_note(call, body, is_answered=answer is not None)
        happenings.log(f"{name} {path['organizationId']} {call.call_id} {_said(answer)}")
        if answer is not None and call.tries == 0:
            answered = Answered(call.call_id, call.call, name, answer, accounts, happenings.now)
            self.effects.broken += answered.broken()
        if status == _CONFLICT and call.slipped_at == body["sequence"]:
            why = f"{call.call_id} cannot send the right figure as {body['sequence']}"
            self.effects.broken.append(Broken(REFUSED, why))
        if answer is not None and happenings.happens(Fault.DUPLICATE, drawn):
            status, again = self._ask(name, call, call.repeated(name, body), drawn)
            differs = again is not None and again != answer and name != "release"
            if differs or status == _CONFLICT:
                why = f"{name} {call.call_id} was answered {_said(answer)}, then {_said(again)}"
                self.effects.broken.append(Broken("one request has one answer", why))
        return answer

    def slip(self, name: str, call: _Call, body: dict[str, Any]) -> None:
        """Report what cannot be true."""
        happenings = self.happenings
        drawn = chance(happenings.seed, "slip", call.call_id, body["sequence"])
        status, _ = self._ask(name, call, body, drawn, slips=True)
        happenings.log(f"{name} {call.call_id} by mistake {body['usedSeconds']} s: {status}")
        if status == _OK:
            why = f"{name} {call.call_id} took {body['usedSeconds']} s more for possible"
            self.effects.broken.append(Broken(REFUSED, why))
        if status == _INVALID:
            call.slipped_at = body["sequence"]

    def _take_note(self, call: _Call, body: dict[str, Any], *, is_answered: bool) -> None:
        """Take note of what was reported, if anything was."""
        now, total = self.happenings.now, body.get("totalUsedSeconds")
        seconds = body.get("usedSeconds", total)
        if seconds is None:
            return
        # The API takes the time of a request in milliseconds.
        at = now.replace(microsecond=now.microsecond // 1_000 * 1_000)
        self.effects.reports[call.key].send(
            body["sequence"], seconds, at, answered=is_answered, in_all=total is not None
        )

    def check_user(self, call: _Call, answer: dict[str, Any] | None) -> None:
        """Break the world if the API does not know a user whom events have given a license."""
        organization_id, user_id = call.call.organization_id, call.call.organizer_id
        if answer is not None and answer["reason"] == "noLicense":
            seen = self.functions.medium.seen(organization_id)
            self.effects.broken += unknown_user(organization_id, user_id, seen, self.effects)

    def _ask(
        self, name: str, call: _Call, body: dict[str, Any], drawn: Random, *, slips: bool = False
    ) -> tuple[int | None, dict[str, Any] | None]:
        """Send a request; gives the status, and the answer if all is well."""
        event = http_event(BY_NAME[name], call.path, body, self.happenings.now)
        response = self.functions.run(self.api, drawn, lambda one: one.call(event))
        if response is None:
            return None, None
        status: int = response["statusCode"]
        if status == _INVALID and not slips:
            why = f"{event['body']} was answered {response['body']}"
            self.effects.broken.append(Broken("what is right is answered", why))
        return status, json.loads(response["body"]) if status == _OK else None


@dataclass
class _Call:
    """One call as its bridge sees it."""

    bridges: Bridges
    call_id: str
    call: Bridged
    drawn: Random
    spelling: Random
    """By it users and callers are written, in each request anew."""
    tries: int = 0
    sequence: int = 0
    reported: int = 0
    quotas: tuple[int, int] = (0, 0)
    """Until which second of the call it was granted by the answer before the last one, and that."""
    hang_up_after: int = 0
    answered_at: datetime | None = None
    is_over: bool = False
    begun_at: datetime | None = None
    is_unheard: bool = False
    """Whether it cannot know if its last report was taken."""
    slipped_at: int | None = None
    """The number of the last request that was refused for what it reported."""
    path: dict[str, str] = field(init=False)
    withholds: bool = field(init=False)

    def __post_init__(self) -> None:
        """Name the call as the API does."""
        self.path = {"organizationId": self.call.organization_id, "callId": self.call_id}
        self.withholds = self.spelling.randrange(3) == 0

    # ── From the first request to the last ───────────────────────────────────────────────────

    def begin(self) -> None:
        """Ask; again if there is no answer, and not for ever."""
        self.begun_at = self.begun_at or self._now
        body = {**self._facts(), "sequence": 0}
        if self.call.wants is not None:
            body["requestedSeconds"] = self.call.wants
        answer = self._ask("authorize", body)
        self.bridges.check_user(self, answer)
        if answer is None:
            self._later(self.begin, otherwise=self._dare)
        elif self._take(answer):
            self.bridges.effects.authorized_by(self.key, answer["paidBy"])
            if self.call.manners.sleeps:
                self._sleep(body, answer["paidBy"])
                return
            self.answered_at = self._now + self.call.rings * _SECOND
            self._go_on() if self.hang_up_after else self._hang_up()

    def _sleep(self, body: dict[str, Any], paid_by: str) -> None:
        """Ask again when what was granted has lapsed; where it costs nothing, it never does."""
        lapses_at = self.bridges.effects.promised[self.key]
        if paid_by in RESERVING:
            # A repeat may have been answered: then it was granted some seconds ago.
            self._at(lapses_at + _TRIES * _PAUSE, partial(self._wake, body))

    def _wake(self, body: dict[str, Any]) -> None:
        self.tries = _TRIES
        answer = self._ask("authorize", body)
        if answer is not None and (answer["decision"], answer["reason"]) != _LAPSED:
            why = f"{self.call_id} was told once more: {_said(answer)}"
            self.bridges.effects.broken.append(Broken(LAPSED, why))

    def _dare(self) -> None:
        """Put the call through unasked, if its bridge does so: nobody can promise anything then."""
        if self.call.dares:
            self.bridges.effects.excused.add(self.call.organization_id)
            self.answered_at = self._now + self.call.rings * _SECOND
            self._at(self.answered_at + self.call.lasts * _SECOND, self._hang_up)

    def _go_on(self) -> None:
        """Talk until the call is over, or must report, or must be hung up."""
        ends_at, must_at = self._ends_at, self._must_hang_up_at
        first = self._first_report_at
        if first is not None and self._now <= first < min(ends_at, must_at):
            self._at(first, partial(self._restarted, self._report))
        elif ends_at <= must_at:
            self._at(ends_at, partial(self._restarted, self._hang_up))
        elif must_at <= self._now:
            self._begin_to_hang_up()
        else:
            early = self.drawn.choice((1, 2, 4, 8)) * _SECOND
            soon = min(self._now + _SECOND, must_at)
            self._at(max(soon, must_at - early), partial(self._restarted, self._report))

    def _report(self) -> None:
        """Report what was used, and ask for more; hang up where there is none."""
        self.sequence += 1
        used = self._connected // _SECOND
        self._slip("update", used)
        body = {"sequence": self.sequence, **self._used(used)}
        if self.call.manners.then_wants is not None:
            body["requestedSeconds"] = self.call.manners.then_wants
        self._send_report(body, used)

    def _send_report(self, body: dict[str, Any], used: int) -> None:
        answer = self._ask("update", body)
        if answer is None or self.call.manners.is_deaf:
            self._later(partial(self._send_report, body, used), otherwise=self._give_up)
            return
        self.reported = used
        if self._take(answer):
            self._go_on()
        else:
            self._restarted(self._begin_to_hang_up, "denied")

    def _give_up(self) -> None:
        """End the call, since nobody says that it may go on; or rely on what was said before."""
        self.is_unheard = True
        if not self.call.manners.is_deaf:
            self._begin_to_hang_up()
        elif self._ends_at <= self._must_hang_up_at:
            self._at(self._ends_at, self._hang_up)
        else:
            self._at(self._must_hang_up_at, self._begin_to_hang_up)

    def _begin_to_hang_up(self) -> None:
        """Ask the far end to hang up, which takes a moment."""
        self._at(self._now + self.call.manners.hanging_up, self._hang_up)

    def _hang_up(self) -> None:
        """The call is over: say so, and give back what is left."""
        self.is_over = True
        now, lasted = self._now, self._connected
        seconds = -(-lasted // _SECOND)
        skew = self.call.manners.skew * _SECOND
        detail = {
            **self._facts(),
            "answeredAt": format_instant(self._answered + skew) if lasted else None,
            "endedAt": format_instant(now + skew),
        }
        if self.call.leg_type == "dialOut":
            drawn = chance(self.bridges.happenings.seed, "in full", self.call_id)
            detail["remoteNumber"] = sometimes_in_full(self.call.number, drawn)
        self.tries = 0
        self.sequence += 1
        if self.call.releases:
            self._slip("release", seconds)
        told_at = self._told_at()
        if told_at == now:
            self.bridges.on_ended(Ended({**self.path, **detail}, self.call_id))
        elif told_at is not None:
            ended = Ended({**self.path, **detail}, self.call_id, promptly=False)
            tell = partial(self._tell_late, ended, seconds)
            self.bridges.happenings.add(told_at, f"telephony {self.call_id}", tell)
        self._hold_against_grant(lasted)
        if self.call.releases:
            self._release({"sequence": self.sequence, **self._used(seconds)}, seconds)

    def _hold_against_grant(self, lasted: timedelta) -> None:
        """See that a bridge that obeys stays within what it was granted.

        Within the grant before the last, where that was longer: the last one may not be heard.
        """
        if self.call.organization_id in self.bridges.effects.excused:
            return
        granted = max(self.quotas)
        if lasted > granted * _SECOND:
            why = f"{self.call_id} lasted {lasted}, and was granted {granted} s until its end"
            self.bridges.effects.broken.append(Broken(WITHIN_GRANT, why))

    def _release(self, body: dict[str, Any], used: int) -> None:
        if self.bridges.ask("release", self, body) is None:
            self._later(partial(self._release, body, used))
        elif self._reports.totals == {used}:
            self.bridges.effects.covered.add(self.key)
            self.reported = used
            self.quotas = self.quotas[1], self.reported
            self._look_back("released", "ended")

    def _used(self, seconds: int) -> dict[str, int]:
        """Report so many seconds in all; since the report before, only if that was heard of."""
        if self.call.manners.reports_totals or self.is_unheard:
            return {"totalUsedSeconds": seconds}
        return {"usedSeconds": seconds - self.reported}

    def _slip(self, name: str, used: int) -> None:
        """Report something wrong at first, if its bridge does."""
        report = Report(name, self.reported, used, self._now - (self.begun_at or self._now))
        wrong = slip_of(self.call.manners.slip, report)
        if wrong is not None:
            self.bridges.slip(name, self, {"sequence": self.sequence, "usedSeconds": wrong})

    def _ask(self, name: str, body: dict[str, Any]) -> dict[str, Any] | None:
        return self.bridges.ask(name, self, self.repeated(name, body) if self.tries else body)

    def repeated(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Say again what was asked, perhaps with the default spelled out."""
        if name == "release" or not self.call.manners.spells_out:
            return body
        return {"requestedSeconds": self.call.wants or DEFAULT_QUOTA_SECONDS, **body}

    def _told_at(self) -> datetime | None:
        """Tell when telephony tells of the end; None, it never does."""
        match self.call.told:
            case Told.PROMPTLY:
                return self._now
            case Told.LATE:
                return self._now + self.drawn.randint(80 * 60, 100 * 60) * _MINUTE
            case Told.WITH_THE_RUN:
                due_at = self._now + self.drawn.choice((3, 74)) * _HOUR
                return self.bridges.next_run(due_at)
            case Told.NEVER:
                return None
            case never:
                assert_never(never)

    def _tell_late(self, ended: Ended, seconds: int) -> None:
        """Tell of the end: what was not reported until then, credit need not cover any more."""
        if self.key not in self.bridges.effects.covered and seconds:
            self.bridges.effects.excused.add(self.call.organization_id)
        self.bridges.on_ended(ended)

    # ── After a restart ──────────────────────────────────────────────────────────────────────

    def _restarted(self, does: Callable[[], None], state: str = "underWay") -> None:
        """Go on with it; sometimes by what the API says of the call, and nothing else."""
        document = self._look_back(state)
        if document is not None:
            self.sequence, self.reported, granted = Known.of(document)
            self.quotas = self.quotas[0], self.reported + granted
            self.hang_up_after = document["hangUpAfterSeconds"] or self.hang_up_after
        does()

    def _look_back(self, *states: str) -> dict[str, Any] | None:
        """Ask, once in a while, what is known of the call, which is in one of these states."""
        knows = Known(self.sequence, self.reported, self.quotas[1] - self.reported)
        return restarted(self.bridges, self.path, knows, states)

    # ── What it knows ────────────────────────────────────────────────────────────────────────

    def _take(self, answer: dict[str, Any]) -> bool:
        """Take an answer; gives whether the call may go on."""
        self.tries = 0
        granted = answer["grantedSeconds"]
        self.quotas = self.quotas[1], self.reported + granted
        if answer["decision"] != "allow" or not granted:
            return False
        self.hang_up_after = answer["hangUpAfterSeconds"]
        # For twice that time all that is reserved stays reserved (see AnswerDocument.valid_until).
        lasts = parse_instant(answer["validUntil"]) - self._now
        self.bridges.effects.promised[self.key] = self._now + 2 * lasts
        return True

    @property
    def key(self) -> tuple[str, str]:
        """The call's identity."""
        return self.call.organization_id, self.call_id

    @property
    def _reports(self) -> Reports:
        return self.bridges.effects.reports[self.key]

    @property
    def _now(self) -> datetime:
        return self.bridges.happenings.now

    @property
    def _answered(self) -> datetime:
        return self.answered_at or self._now

    @property
    def _connected(self) -> timedelta:
        """Tell how long it has lasted."""
        return max(timedelta(), self._now - self._answered)

    @property
    def _ends_at(self) -> datetime:
        return self._answered + self.call.lasts * _SECOND + self.call.manners.beyond

    @property
    def _first_report_at(self) -> datetime | None:
        """Tell when it is to report first, if that is not just before it must; None once it has."""
        seconds = self.call.manners.reports_at
        return None if seconds is None or self.sequence else self._answered + seconds * _SECOND

    @property
    def _must_hang_up_at(self) -> datetime:
        return self._answered + self.hang_up_after * _SECOND

    def _facts(self) -> dict[str, Any]:
        call = self.call
        numbers = (
            {"remoteNumber": call.number}
            if call.leg_type == "dialOut"
            else {
                "serviceNumber": "+18005550199",
                "remoteNumber": withheld(self.spelling) if self.withholds else call.number,
            }
        )
        return {
            "organizerId": spelled(self.spelling, call.organizer_id),
            "meetingId": "meeting-1",
            "meetingType": "scheduled",
            "legType": call.leg_type,
            **numbers,
            **(ignored(self.spelling) if self.spelling.randrange(4) == 0 else {}),
        }

    # ── When ─────────────────────────────────────────────────────────────────────────────────

    def _later(
        self, again: Callable[[], None], otherwise: Callable[[], None] | None = None
    ) -> None:
        """Do it again in a moment; after so many times, or when it must hang up, something else."""
        self.tries += 1
        at = self._now + _PAUSE
        talks = self.answered_at is not None and not self.is_over
        if self.tries < _TRIES and not (talks and at > self._must_hang_up_at):
            self._at(at, again)
        elif otherwise is not None:
            otherwise()

    def _at(self, at: datetime, does: Callable[[], None]) -> None:
        name = f"bridge {self.call_id} {self.sequence}.{self.tries}"
        self.bridges.happenings.add(at, name, does)


def _said(answer: dict[str, Any] | None) -> str:
    """Say in a few words what the answer is."""
    if answer is None:
        return "no answer"
    return f"{answer['decision']} {answer['grantedSeconds']} s {answer['reason'] or ''}".rstrip()
