"""Makes `examples/day`: `python -m perminute_local.documents.example_day_records examples/day`.

Some calls of the day come as the records of three systems: Contoso's as status callbacks of Twilio,
Fabrikam's as objects of a Voice Connector of Amazon Chime, and those that Northwind's subscriptions
include in the log of an Asterisk in Toronto. They have the ids that they would have as events, and
the books are the same. So only calls are taken that nothing else happens together with, or that
cost nothing: a call is charged when its record arrives, and the log arrives after its last call.
"""

from __future__ import annotations

import csv
import hmac
import io
import json
import re
import sys
from base64 import b64encode
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from perminute_local.documents.example_day import (
    CONTOSO,
    FABRIKAM,
    NORTHWIND,
    TOLL,
    TOLL_FREE,
    Event,
    make_day,
)
from perminute_local.replay.plan import EVENTS
from perminute_local.replay.record_folder import DIRECTORY, OPTIONS, RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Call = dict[str, str]
Files = dict[str, str]
"""What the files of a folder contain, by their names."""

ACCOUNT = "AC22222222222222222222222222222222"
AUTH_TOKEN = "signs the callbacks of this example, and nothing else"  # noqa: S105 - no secret
CALLBACK = "https://bridge.example.com/webhooks/twilio/callback"
CONNECTOR = "exampleconnector000001"
SERVER, SERVER_ZONE = "pbx-northwind", "America/Toronto"
OWNERS = {
    "+14255550100": "lynne",
    "+442079460100": "lidia",
    "+493023125100": "lynne",
    "+46851972000": "lidia",
    "+18005550199": "lee",
    "+448081570100": "lynne",
    "+4620751000": "lee",
    "+498001110550": "lidia",
}
"""Whose the numbers are at Fabrikam: records of the connector name no organizer."""

_APART = timedelta(seconds=3)
_MADE = re.compile(r"[a-z]+-[0-9]{4}")
_COLUMNS = (
    "kind",
    "key",
    "source",
    "organization_id",
    "leg_type",
    "organizer_id",
    "meeting_id",
    "meeting_type",
    "effective_from",
    "effective_to",
)


def make_folder() -> Files:
    """Make all files of the day but its rate card."""
    events = make_day()
    kinds: tuple[tuple[Callable[[Call], bool], Callable[[Sequence[Call]], Files]], ...] = (
        (_is_of_twilio, _callbacks),
        (_is_of_chime, _objects),
        (_is_of_asterisk, _log),
    )
    alone, once = _alone(events), _once(events)
    files = {DIRECTORY: _directory()}
    recorded: set[str] = set()
    for is_of, written in kinds:
        of = once if written is _log else alone
        calls = [call for call in of if is_of(call)]
        recorded |= {call["callId"] for call in calls}
        files |= {f"{RECORDS}/{name}": text for name, text in written(calls).items()}
    rest = (event for event in events if _call_of(event).get("callId") not in recorded)
    return files | {EVENTS: _lines(rest)}


def _is_of_twilio(call: Call) -> bool:
    return call["organizationId"] == CONTOSO and call["legType"] != "app"


def _is_of_chime(call: Call) -> bool:
    is_its_own = OWNERS.get(call.get("serviceNumber", "")) == call["organizerId"]
    return call["organizationId"] == FABRIKAM and is_its_own


def _is_of_asterisk(call: Call) -> bool:
    is_subscriber = call["organizerId"] in {"miriam", "nestor"}
    return (call["organizationId"], call["legType"]) == (NORTHWIND, "tollDialIn") and is_subscriber


def _call_of(event: Event) -> Call:
    detail: Call | list[str] = event.get("detail", {})
    is_call = event.get("detail-type") == "Call Ended"
    return detail if is_call and isinstance(detail, dict) else {}


def _once(events: Sequence[Event]) -> list[Call]:
    """Return the ordinary calls that are sent once, by their end."""
    calls = [call for event in events if (call := _call_of(event))]
    times = Counter(str(call.get("callId")) for call in calls)
    found = [c for c in calls if times[str(c["callId"])] == 1 and _MADE.fullmatch(c["callId"])]
    return sorted(found, key=lambda call: (call["endedAt"], call["callId"]))


def _alone(events: Sequence[Event]) -> list[Call]:
    """Return those of them that nothing happens together with."""
    sent = {
        _call_of(event).get("callId"): datetime.fromisoformat(event["time"]) for event in events
    }
    times = [datetime.fromisoformat(event["time"]) for event in events]
    return [
        call
        for call in _once(events)
        if sum(abs(at - sent[call["callId"]]) <= _APART for at in times) == 1
    ]


def _directory() -> str:
    tenants = {
        ACCOUNT: ("twilio", CONTOSO),
        CONNECTOR: ("chime-voice-connector", FABRIKAM),
        SERVER: ("asterisk", NORTHWIND),
    }
    kinds = dict.fromkeys(TOLL, "tollDialIn") | dict.fromkeys(TOLL_FREE, "tollFreeDialIn")
    rows = [
        *(
            {"kind": "tenant", "key": key, "source": source, "organization_id": organization}
            for key, (source, organization) in tenants.items()
        ),
        *({"kind": "number", "key": key, "leg_type": kind} for key, kind in kinds.items()),
        *(
            {
                "kind": "number",
                "key": key,
                "source": "chime-voice-connector",
                "leg_type": kinds[key],
                "organizer_id": organizer,
            }
            for key, organizer in OWNERS.items()
        ),
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _callbacks(calls: Sequence[Call]) -> Files:
    options = json.dumps({"authToken": AUTH_TOKEN}, indent=2) + "\n"
    return {
        f"twilio-callback/{OPTIONS}": options,
        "twilio-callback/requests.jsonl": _lines(map(_callback, calls)),
    }


def _callback(call: Call) -> Mapping[str, object]:
    names = ("organizationId", "organizerId", "meetingId", "meetingType")
    url = f"{CALLBACK}?{urlencode({name: call[name] for name in names})}"
    is_dial_out = call["legType"] == "dialOut"
    ended, seconds = datetime.fromisoformat(call["endedAt"]), _seconds(call)
    form = {
        "AccountSid": ACCOUNT,
        "CallSid": call["callId"],
        "CallStatus": "completed",
        "Direction": "outbound-api" if is_dial_out else "inbound",
        "From": TOLL[0] if is_dial_out else "anonymous",
        "To": call["remoteNumber"] if is_dial_out else call["serviceNumber"],
        "Timestamp": f"{ended:%a, %d %b %Y %H:%M:%S} +0000",
        "CallDuration": str(seconds),
        "Duration": str(-(-seconds // 60)),
    }
    signed = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    signature = b64encode(hmac.digest(AUTH_TOKEN.encode(), signed.encode(), "sha1")).decode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": signature,
    }
    return {"method": "POST", "url": url, "headers": headers, "body": urlencode(form)}


def _objects(calls: Sequence[Call]) -> Files:
    return {_key(call): _lines([_connected(call)]) for call in calls}


def _key(call: Call) -> str:
    ended = datetime.fromisoformat(call["endedAt"])
    folder = f"chime-voice-connector/Amazon-Chime-Voice-Connector-CDRs/json/{CONNECTOR}"
    return f"{folder}/{ended:%Y/%m/%d/%H.%M.%S}.000_{call['callId']}"


def _connected(call: Call) -> Mapping[str, object]:
    return {
        "AwsAccountId": "444455556666",
        "TransactionId": call["callId"],
        "CallId": f"{call['callId']}@203.0.113.20:5060",
        "VoiceConnectorId": CONNECTOR,
        "Status": "Completed",
        "StatusMessage": "OK",
        "BillableDurationSeconds": _seconds(call),
        "SourcePhoneNumber": "anonymous",
        "DestinationPhoneNumber": call["serviceNumber"],
        "Direction": "Inbound",
        "StartTimeEpochSeconds": int(datetime.fromisoformat(call["answeredAt"]).timestamp()),
        "EndTimeEpochSeconds": int(datetime.fromisoformat(call["endedAt"]).timestamp()),
        "Region": "us-east-1",
    }


def _log(calls: Sequence[Call]) -> Files:
    text = io.StringIO()
    # As cdr_csv writes it: texts are quoted, and numbers are not.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerows(_row(number, call) for number, call in enumerate(calls, 1))
    options = json.dumps({"timezone": SERVER_ZONE}, indent=2) + "\n"
    return {f"asterisk-csv/{OPTIONS}": options, "asterisk-csv/Master.csv": text.getvalue()}


def _row(number: int, call: Call) -> list[str | int]:
    zone = ZoneInfo(SERVER_ZONE)
    answered, ended = (
        datetime.fromisoformat(call[name]).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        for name in ("answeredAt", "endedAt")
    )
    channel = f"PJSIP/trunk-{number:08x}"
    seconds = _seconds(call)
    return [
        SERVER,
        "anonymous",
        call["serviceNumber"],
        "from-trunk",
        '"Anonymous" <anonymous>',
        channel,
        "",
        "ConfBridge",
        f"{call['meetingId']},default_bridge",
        answered,
        answered,
        ended,
        seconds,
        seconds,
        "ANSWERED",
        "DOCUMENTATION",
        call["callId"],
        f"organizerId={call['organizerId']}",
    ]


def _seconds(call: Call) -> int:
    lasted = datetime.fromisoformat(call["endedAt"]) - datetime.fromisoformat(call["answeredAt"])
    return int(lasted / timedelta(seconds=1))


def _lines(documents: Iterable[Mapping[str, object]]) -> str:
    return "".join(f"{json.dumps(document)}\n" for document in documents)


def write_folder(folder: Path) -> Iterator[Path]:
    """Write the files of the day into a folder; yield each."""
    for name, text in make_folder().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        yield path


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in write_folder(Path(sys.argv[1])))
