"""Organizations whose calls arrive as call records of three systems, some of them damaged."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo

from perminute.domain.values.times import EPOCH, format_instant
from perminute_local.simulation.backends.records import PASSWORD, USER
from perminute_local.simulation.plan import (
    CallRecord,
    DirectoryPublished,
    ObjectDropped,
    RecordPosted,
)
from perminute_local.simulation.workloads.workload import (
    DAY,
    MINUTE,
    SECOND,
    Detail,
    Workload,
    ended_call,
    purchase,
)

if TYPE_CHECKING:
    from random import Random

    from perminute_local.simulation.plan import OfRecords, Plan

_ORGANIZATIONS, _USER = ("recorded-0", "recorded-1"), "user-0"
_ITEMS_PER_RECORDS = 11
_MOST_RECORDS = 7
_NUMBER, _CALLER = "+14255550199", "+493090182001"
_LATE_NUMBERS = ("+14255550121", "+14255550122", "+14255550123")
"""Numbers to which calls are made before the directory has them."""
_TENANT = "shared-tenant"
_MOVES = (3 * DAY, 10 * DAY, 40 * DAY, 200 * DAY)
"""When, after the beginning, the tenant moves to the other organization."""
_WHO, _WHEN = ("organization_id", "leg_type", "organizer_id"), ("effective_from", "effective_to")
_ZONE = ZoneInfo("Europe/Berlin")
_KEYS = {
    "chime": "chime-voice-connector/{}.json",
    "asterisk": "asterisk-csv/tz=Europe~Berlin/{}.csv",
    "elsewhere": "asterisk-csv/tz=America~New_York/{}.csv",
    "freeswitch": "freeswitch-json/{}.cdr.json",
}


class _Facts(NamedTuple):
    """One call, as all systems would know it."""

    call_id: str
    organization_id: str
    number: str
    answered_at: datetime
    ended_at: datetime

    @property
    def seconds(self) -> int:
        return (self.ended_at - self.answered_at) // SECOND

    def record(self, meeting_id: str) -> CallRecord:
        """Return what must become of its record if nothing is wrong with it."""
        detail = ended_call(
            self.call_id,
            _USER,
            self.answered_at,
            self.ended_at,
            meetingId=meeting_id,
            legType="tollDialIn",
            serviceNumber=self.number,
            remoteNumber=_CALLER,
            billableSeconds=self.seconds,
        )
        call = {"organizationId": self.organization_id, **detail}
        kept = "unknownServiceNumber" if self.number in _LATE_NUMBERS else ""
        return CallRecord(self.call_id, call, kept)

    @property
    def no_call(self) -> CallRecord:
        """Return the record without what becomes of it."""
        return CallRecord(self.call_id)


_Written = tuple[str, CallRecord]
"""A line of a file, with its end."""


@dataclass
class Records(Workload):
    """Drops files and posts channels; some numbers are added to the directory late."""

    name: ClassVar[str] = "records"
    prefix: ClassVar[str] = "k"
    starts_after_setup: ClassVar[bool] = True

    def woven_into(self, plan: Plan) -> Plan:
        """Return the plan with the records, and with the first directory."""
        return replace(super().woven_into(plan), directory=self._directory(()))

    def begin(self) -> None:
        """Set up organizations with licenses and credit, the last one without."""
        self._moves_at = [self.now + after for after in _MOVES]
        self.organizations += _ORGANIZATIONS
        self.join_program(_ORGANIZATIONS[0])
        self.locate(_ORGANIZATIONS[0], _USER)
        self.assign(_ORGANIZATIONS[0], _USER, "payPerMinute", "communicationsCredits")
        self.send("Credit Purchased", _ORGANIZATIONS[0], purchase("po-k", "20", self.now))

    def go_on(self, rng: Random) -> None:
        """Write the records of some calls, perhaps, or publish a directory."""
        if rng.randrange(_ITEMS_PER_RECORDS):
            return
        match rng.randrange(8):
            case 0:
                numbers = _LATE_NUMBERS[: rng.randint(1, len(_LATE_NUMBERS))]
                self.add(DirectoryPublished(f"directory-{self.count}", self._directory(numbers)))
            case 1 | 2 | 3:
                self._post(rng)
            case _:
                self._drop(rng)

    # ── What is written ──────────────────────────────────────────────────────────────────────

    def _post(self, rng: Random) -> None:
        facts = self._facts(0, rng)
        document, record = _channel(facts, rng)
        user, kind = f"{USER}:{PASSWORD}", rng.randrange(6)
        match kind:
            case 0:
                user, record = f"{USER}:guessed", facts.no_call
            case 1:
                # A server that parsed it as a form has made spaces of its plus signs.
                encoded = base64.b64encode(document.encode()).decode()
                document = f"cdr={encoded.replace('+', ' ')}"
            case 2:
                document = document[: -rng.randint(1, 100)]
                record = facts.no_call._replace(kept="notACallRecord")
            case _:
                pass
        basic = f"Basic {base64.b64encode(user.encode()).decode()}"
        posted = RecordPosted(basic, document.encode(), record)
        for _ in range(1 + (rng.randrange(4) == 0)):
            self.add(posted)
        if kind > 2 and rng.randrange(4) == 0:  # noqa: PLR2004 - it is as it should be
            # FreeSWITCH writes what it could not post to a file; it may have been accepted anyway.
            self._add_object("freeswitch", document, [record], rng)

    def _drop(self, rng: Random) -> None:
        kind = rng.choice(("chime", "chime", "asterisk", "asterisk", "elsewhere"))
        write = _connected if kind == "chime" else _row
        lines: list[_Written] = []
        for place in range(rng.randint(1, _MOST_RECORDS)):
            written = write(self._facts(place, rng), rng)
            lines += [written] * (1 + (rng.randrange(8) == 0))
        records = [record for _, record in lines]
        if kind == "elsewhere":
            records = [
                CallRecord(one.call_id, kept="timezoneMismatch") if one.call else one
                for one in records
            ]
        self._add_object(kind, "".join(line for line, _ in lines), records, rng)

    def _add_object(self, kind: str, content: str, records: list[CallRecord], rng: Random) -> None:
        key = _KEYS[kind].format(f"{self.seed}-{self.count}")
        vanishes = rng.choice((None, None, None, None, SECOND, MINUTE))
        dropped: OfRecords = ObjectDropped(key, content.encode(), tuple(records), vanishes)
        for _ in range(1 + (rng.randrange(4) == 0)):
            self.add(dropped, rng.choice((0, 0, 30, 4_000)) * SECOND)

    def _facts(self, place: int, rng: Random) -> _Facts:
        ended_at = (self.now - rng.choice((0, 1, 3_600, 100_000)) * SECOND).replace(microsecond=0)
        answered_at = ended_at - rng.choice((1, 59, 240)) * SECOND
        is_late = rng.randrange(8) == 0
        number = rng.choice(_LATE_NUMBERS) if is_late else _NUMBER
        # Asterisk's ids have the second in which the channel was made.
        call_id = f"rec-{self.count}{place}-{_seconds_since_epoch(answered_at)}.{place}"
        return _Facts(call_id, self._organization(answered_at), number, answered_at, ended_at)

    # ── The directory ────────────────────────────────────────────────────────────────────────

    def _organization(self, at: datetime) -> str:
        return _ORGANIZATIONS[sum(moved_at <= at for moved_at in self._moves_at) % 2]

    def _directory(self, late_numbers: tuple[str, ...]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("kind", "key", *_WHO, *_WHEN))
        begins = ["", *map(format_instant, self._moves_at)]
        for turn, (begin, end) in enumerate(zip(begins, [*begins[1:], ""], strict=True)):
            writer.writerow(("tenant", _TENANT, _ORGANIZATIONS[turn % 2], "", "", begin, end))
        for number in (_NUMBER, *late_numbers):
            writer.writerow(("number", number, "", "tollDialIn", _USER, "", ""))
        return text.getvalue().encode()


def _seconds_since_epoch(at: datetime) -> int:
    return (at - EPOCH) // SECOND


def _connected(facts: _Facts, rng: Random) -> _Written:
    """Return an object of a Voice Connector of Amazon Chime."""
    document: Detail = {
        "TransactionId": facts.call_id,
        "VoiceConnectorId": _TENANT,
        "Status": "Completed",
        "BillableDurationSeconds": facts.seconds,
        "SourcePhoneNumber": _CALLER,
        "DestinationPhoneNumber": facts.number,
        "Direction": "Inbound",
        "StartTimeEpochSeconds": _seconds_since_epoch(facts.answered_at),
        "EndTimeEpochSeconds": _seconds_since_epoch(facts.ended_at),
    }
    record = facts.record(facts.call_id)
    match rng.randrange(12):
        case 0:
            del document["Direction"]
            record = facts.no_call._replace(skipped="streamingRecord")
        case 1:
            document["IsProxyCall"] = True
            record = facts.no_call._replace(skipped="proxyCall")
        case 2:
            document["EndTimeEpochSeconds"] -= 3_600
            record = facts.no_call._replace(kept="endBeforeStart")
        case 3:
            cut = json.dumps(document)[: -rng.randint(1, 100)]
            return f"{cut}\n", facts.no_call._replace(kept="notACallRecord")
        case _:
            pass
    return f"{json.dumps(document)}\n", record


def _row(facts: _Facts, rng: Random) -> _Written:
    """Return a row of Asterisk's `Master.csv`, of a server in Berlin."""
    answered, ended = (
        f"{at.astimezone(_ZONE):%Y-%m-%d %H:%M:%S}" for at in (facts.answered_at, facts.ended_at)
    )
    application, said, record = "ConfBridge", "organizerId=user-0", facts.record("room")
    match rng.randrange(12):
        case 0:
            application, said = "Playback", ""
            record = facts.no_call._replace(skipped="notConference")
        case 1:
            return f'"{facts.call_id}","cut"\n', facts.no_call._replace(kept="notACallRecord")
        case _:
            pass
    cells: list[Any] = [_TENANT, _CALLER, facts.number, "trunk", "", "PJSIP/trunk-1", ""]
    cells += [application, "room,default_bridge", answered, answered, ended]
    cells += [facts.seconds, facts.seconds, "ANSWERED", "DOCUMENTATION", facts.call_id, said]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(cells)
    return text.getvalue(), record


def _channel(facts: _Facts, rng: Random) -> _Written:
    """Return a document of FreeSWITCH, whose dialplan says whose call it is."""
    variables = {
        "uuid": facts.call_id,
        "direction": "inbound",
        "answer_uepoch": str(_micros_since_epoch(facts.answered_at)),
        "end_uepoch": str(_micros_since_epoch(facts.ended_at)),
        "billsec": str(facts.seconds),
        "perminute_organization": facts.organization_id,
        "perminute_organizer": _USER,
        "perminute_meeting": "room?>~",
        "sip_req_user": facts.number,
        "perminute_note": "".join(rng.choices("?>~", k=rng.randrange(4))),
    }
    profile = {"caller_id_number": _CALLER, "destination_number": facts.number}
    document = {"variables": variables, "callflow": [{"caller_profile": profile}]}
    return json.dumps(document), facts.record("room?>~")


def _micros_since_epoch(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
