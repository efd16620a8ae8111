"""What bridges ask of the charging API, and what must hold of each answer.

Bridges restart now and then. They look the call up by its id, or in the list of calls under way;
the API must know of it what the bridge had known.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.api.endpoints import BY_NAME
from perminute_local.replay.links import http_event
from perminute_local.simulation.faults import Fault, rng_of
from perminute_local.simulation.invariants import calls as promises

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from random import Random

    from perminute_local.simulation.bridges import Call
    from perminute_local.simulation.scheduler import Functions, Scheduler
    from perminute_local.simulation.write_recorder import WriteRecorder

_OK, _INVALID, _CONFLICT, _UNAVAILABLE = 200, 400, 409, 503
_PAGE = 2
_RESTARTS = 3
"""A bridge restarts at one in so many of the moments at which it may."""

Document = dict[str, Any]


class CallProgress(NamedTuple):
    """What a bridge and the API know of a call."""

    sequence: int
    total_seconds: int
    """Reported until then."""
    granted_seconds: int

    @classmethod
    def of(cls, document: Document) -> CallProgress:
        """Return what the API says."""
        names = ("sequence", "totalUsedSeconds", "grantedSeconds")
        return cls(*(document[name] for name in names))


@dataclass
class ApiClient:
    """Sends the requests of all bridges."""

    scheduler: Scheduler
    functions: Functions
    recorder: WriteRecorder

    def __post_init__(self) -> None:
        stack = self.functions.backend.stack
        self._function = stack.serving(BY_NAME["authorize"].route_key).name

    def ask(self, name: str, call: Call, body: Document) -> Document | None:
        """Send a request, sometimes twice; return None if there is no answer."""
        scheduler, recorder = self.scheduler, self.recorder
        rng = rng_of(scheduler.seed, name, call.call_id, body["sequence"], call.tries)
        with recorder.watched(call.key[0]) as accounts:
            status, answer = self._send(name, call, body, rng)
        self._record_report(call, body, is_answered=answer is not None)
        scheduler.log(f"{name} {' '.join(call.key)} {in_short(answer)}")
        if answer is not None and call.tries == 0:
            placed, now = call.placed, scheduler.now
            answered = promises.Answered(call.call_id, placed, name, answer, accounts, now)
            recorder.broken += answered.broken()
        if status == _CONFLICT and call.refused_at == body["sequence"]:
            why = f"{call.call_id} cannot send the right figure as {body['sequence']}"
            recorder.broken += promises.false_report_is_refused(why)
        if answer is not None and scheduler.happens(Fault.DUPLICATE, rng):
            status, again = self._send(name, call, call.repeated(name, body), rng)
            differs = again is not None and again != answer and name != "release"
            if differs or status == _CONFLICT:
                why = f"{call.call_id} was answered {in_short(answer)}, then {in_short(again)}"
                recorder.broken += promises.one_answer(why)
        return answer

    def report_falsely(self, name: str, call: Call, body: Document) -> None:
        """Report what cannot be true."""
        rng = rng_of(self.scheduler.seed, "slip", call.call_id, body["sequence"])
        status, _ = self._send(name, call, body, rng, is_false=True)
        what = f"{name} {call.call_id} by mistake {body['usedSeconds']} s"
        self.scheduler.log(f"{what}: {status}")
        if status == _OK:
            self.recorder.broken += promises.false_report_is_refused(f"{what} is taken")
        if status == _INVALID:
            call.refused_at = body["sequence"]

    def _record_report(self, call: Call, body: Document, *, is_answered: bool) -> None:
        now, total = self.scheduler.now, body.get("totalUsedSeconds")
        seconds = body.get("usedSeconds", total)
        if seconds is None:
            return
        # The API takes the time of a request in milliseconds.
        at = now.replace(microsecond=now.microsecond // 1_000 * 1_000)
        self.recorder.reports[call.key].send(
            body["sequence"], seconds, at, answered=is_answered, is_total=total is not None
        )

    def check_user(self, call: Call, answer: Document | None) -> None:
        """Check that the API knows a user whom events have given a license."""
        organization_id, user_id = call.placed.organization_id, call.placed.organizer_id
        if answer is not None and answer["reason"] == "noLicense":
            stored = self.functions.backend.snapshot(organization_id)
            self.recorder.broken += promises.known_user(
                organization_id, user_id, stored, self.recorder
            )

    def _send(
        self, name: str, call: Call, body: Document, rng: Random, *, is_false: bool = False
    ) -> tuple[int | None, Document | None]:
        event = http_event(BY_NAME[name], call.path, body, self.scheduler.now)
        response = self.functions.run(self._function, rng, lambda loaded: loaded.call(event))
        if response is None:
            return None, None
        status: int = response["statusCode"]
        if status == _INVALID and not is_false:
            why = f"{event['body']} was answered {response['body']}"
            self.recorder.broken += promises.right_is_answered(why)
        return status, json.loads(response["body"]) if status == _OK else None

    # ── Restarts ─────────────────────────────────────────────────────────────────────────────

    def restart(
        self, path: dict[str, str], known: CallProgress, states: Collection[str]
    ) -> Document | None:
        """Return what the API says of a call if its bridge restarts, which it does now and then.

        The call is in one of the `states`. None too if there is no answer.
        """
        rng = rng_of(
            self.scheduler.seed, "restart", *path.values(), known.sequence, *sorted(states)
        )
        if rng.randrange(_RESTARTS):
            return None
        label, is_listed = rng.random(), not {"released", "ended"} & set(states)
        rngs = (rng_of(self.scheduler.seed, "look", label, number) for number in count(1))
        if is_listed and rng.randrange(2):
            document = self._find_in_list(path, rngs)
        else:
            document = self._look_up("call", path, {}, next(rngs))
        if document is None:
            return None
        says, state = CallProgress.of(document), document["state"]
        self.scheduler.log(f"bridge {path['callId']} restarted: {state} {says}")
        if state not in states or (state != "ended" and says != known):
            why = f"{path['callId']}: {state} {says}, but its bridge knows {known}"
            self.recorder.broken += promises.known_to_api(why)
        return document

    def _find_in_list(self, path: dict[str, str], rngs: Iterator[Random]) -> Document | None:
        """Read the pages; the call may be missing only where the index lags behind."""
        happened, query = self.scheduler.injector.happened, {"limit": str(_PAGE)}
        lags = happened[Fault.CUT]
        organization = {"organizationId": path["organizationId"]}
        while True:
            page = self._look_up("callsUnderWay", organization, query, next(rngs))
            if page is None:
                return None
            for document in page["calls"]:
                if document["callId"] == path["callId"]:
                    return dict(document)
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        if happened[Fault.CUT] == lags:
            why = f"{path['callId']} is not in the list of {path['organizationId']}"
            self.recorder.broken += promises.listed(why)
        return None

    def _look_up(
        self, name: str, path: dict[str, str], query: dict[str, str], rng: Random
    ) -> Document | None:
        event = http_event(BY_NAME[name], path, query, self.scheduler.now)
        response = self.functions.run(self._function, rng, lambda loaded: loaded.call(event))
        if response is None or response["statusCode"] == _UNAVAILABLE:
            return None
        document: Document = json.loads(response["body"])
        if response["statusCode"] != _OK:
            why = f"{name} of {path} was answered {document['message']}"
            self.recorder.broken += promises.known_to_api(why)
            return None
        return document


def in_short(answer: Document | None) -> str:
    """Return an answer in a few words."""
    if answer is None:
        return "no answer"
    return f"{answer['decision']} {answer['grantedSeconds']} s {answer['reason'] or ''}".rstrip()
