"""`perminute send`: files of events to the bus of a stack, ten at a time.

Every line is checked before any is sent, as the functions will check it. What was not sent is
reported with its line, and may be sent again with all others: each event has an identity in its
detail by which it counts once.
"""

from __future__ import annotations

import codecs
import json
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.values.printable import counted
from perminute.events.billing import BILLING, credit_event
from perminute.events.calls_ended import MAX_EVENT_BYTES
from perminute.events.event import processed_event_of, read_event
from perminute.events.licensing import LICENSING, licensing_event
from perminute.events.telephony import TELEPHONY, CallEnded, ended_call
from perminute.parsing import parse_json
from perminute.sqs import Received
from perminute_local.deployment import calling_aws
from perminute_local.progress import count_shown
from perminute_local.sending import NotSent, name_of, sender_to
from perminute_local.terminal import remark, write_json
from perminute_local.user_input import check_encoding
from perminute_local.wrong_call import FaultyLines, LineFault, WrongFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from perminute.events.event import Event
    from perminute_local.sending import EventSender

EVENTS_AT_ONCE = 1_000
"""Events that are in memory at once; the sender divides them into requests."""
MAX_FAULTS = 100
"""Faulty lines that are listed."""

_SOURCES = {source.name: source for source in (TELEPHONY, BILLING, LICENSING)}


class Line(NamedTuple):
    """An event as it is sent, and where it was read."""

    at: str
    event: dict[str, Any]


def send_events(paths: Sequence[Path], stack_name: str, *, as_json: bool) -> int:
    """Check and send the events of files; exit code 1 if any was not sent."""
    now = datetime.now(UTC)
    count = _check(paths, now)
    with calling_aws(stack_name):
        sender = sender_to(stack_name)
    with count_shown("events", count) as advance:
        not_sent = [*_not_sent(sender, lines_of(paths, now), advance)]
    for failed in not_sent:
        remark(f"{failed['at']}: not sent: {failed['event']}: {failed['reason']}")
    remark(f"{counted(count, 'event')}, {count - len(not_sent)} sent")
    if not_sent:
        remark("sending the same files again is safe: what the bus took already counts once")
    if as_json:
        write_json({"events": count, "sent": count - len(not_sent), "notSent": not_sent})
    return 1 if not_sent else 0


def _check(paths: Iterable[Path], now: datetime) -> int:
    """Return how many events there are; raises `FaultyLines` if any of them would be refused."""
    count, faults = 0, list[LineFault]()
    for path in paths:
        check_encoding(path)
    for at, text in _texts(paths):
        count += 1
        try:
            read_line(text, now)
        except Refused as error:
            faults.append(LineFault(at, str(error)))
            if len(faults) == MAX_FAULTS:
                break
    if faults:
        raise FaultyLines(faults, "nothing was sent", is_cut=len(faults) == MAX_FAULTS)
    if not count:
        msg = f"{', '.join(map(str, paths))}: no event; write one a line, as calls convert does"
        raise WrongFile(msg)
    return count


def lines_of(paths: Iterable[Path], now: datetime) -> Iterator[Line]:
    """Read the events of files that were checked before."""
    for at, text in _texts(paths):
        try:
            yield Line(at, read_line(text, now))
        except Refused as error:
            msg = f"{at}: was changed while it was sent: {error}; send it again"
            raise WrongFile(msg) from error


def _texts(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        with path.open("rb") as lines:
            # Windows programs put a byte order mark in front of the first line.
            first = lines.readline().removeprefix(codecs.BOM_UTF8)
            if first.strip() == b"{":
                # One event, written over several lines for people.
                yield str(path), first + lines.read()
                continue
            for number, line in enumerate(chain([first], lines), 1):
                text = line.strip()
                if text and not text.startswith(b"#"):
                    yield f"{path}:{number}", text


def read_line(text: bytes, now: datetime) -> dict[str, Any]:
    """Return the event of a line as it is to be sent. Raises `Refused` if a function would."""
    sent = parse_json(text, called="event")
    source = _SOURCES.get(str(sent.get("source"))) if isinstance(sent, dict) else None
    if not isinstance(sent, dict) or source is None:
        field = "source" if isinstance(sent, dict) else "event"
        raise Refused(field, f"must be one of {', '.join(_SOURCES)}, in a JSON object on one line")
    # The bus gives each event an id of its own.
    body = sent if "id" in sent else {**sent, "id": "none"}
    event = read_event(json.dumps(body), source, Received(now, now))
    identity = _check_detail(event)
    if identity is IdentityKind.EVENT:
        if "id" not in sent:
            raise Refused("id", "is missing: by it this event counts once if it is sent again")
        said = {"changeId": sent["id"], "issuedAt": sent["time"]}
        sent = {**sent, "detail": {**said, **sent["detail"]}}
    if len(json.dumps(sent).encode()) > MAX_EVENT_BYTES:
        raise Refused("event", f"has more than {MAX_EVENT_BYTES // 1024} KB; divide its calls")
    return sent


def _check_detail(event: Event[Any]) -> IdentityKind | None:
    """Return by what an event is identified; None: by the ids of its calls."""
    if event.source == TELEPHONY.name:
        # Of several calls each is charged or refused by itself.
        if isinstance(event.detail, CallEnded):
            ended_call(event)
        return None
    if event.source == BILLING.name:
        credit_event(event)
    else:
        licensing_event(event)
    return processed_event_of(event).key.kind


def _not_sent(
    sender: EventSender, lines: Iterator[Line], advance: Callable[[int], None]
) -> Iterator[dict[str, str]]:
    while group := list(islice(lines, EVENTS_AT_ONCE)):
        outcomes = sender([line.event for line in group])
        for line, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, NotSent):
                yield {"at": line.at, "event": name_of(line.event), "reason": outcome.reason}
        advance(len(group))
