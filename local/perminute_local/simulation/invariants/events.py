"""The events that were sent, and what must become of each."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.apply_licensing import LicensingEvent
from perminute.application.charge_calls import EndedCall
from perminute.domain.credit.transaction import ERASED_CONTENT, IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.rating.call_content import differing_content
from perminute.domain.rating.calls import Call
from perminute.events.billing import BILLING, credit_event
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.simulation.invariants import calls, notifications, same_second
from perminute_local.simulation.invariants.invariant import invariant, promise
from perminute_local.simulation.invariants.organization import (
    Organization,
    ReadEvent,
    broken_by,
    organization_of,
)
from perminute_local.simulation.plan import CALLS_PER_PART, EventSent, Expected, events_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from perminute.domain.rating.rate_card import RateCard
    from perminute_local.simulation.backends.backend import Snapshot
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.write_recorder import WriteRecorder

_taken_or_refused = promise("each event is taken or refused")
_right_is_taken = promise("a right event is taken")
_wrong_is_refused = promise("a wrong event is refused")
_one_content = promise("one identity has one content")
_only_sent_is_refused = promise("only what was sent is refused")


class _Sent(NamedTuple):
    body: str
    expected: Expected
    event: ReadEvent | None
    """None if it cannot be read."""


@dataclass
class EventLog:
    """The events of all organizations, and the rate cards by which calls were rated."""

    cards: dict[str, RateCard] = field(default_factory=dict)
    sent: dict[str, _Sent] = field(default_factory=dict)
    """By their bodies: what is sent twice is one event."""
    contents: defaultdict[tuple[object, ...], set[object]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """Each content that was sent under an identity."""

    def publish(self, content: bytes, version: str) -> None:
        """Store a rate card."""
        self.cards[version] = read_rate_card(content, version=version)

    def send(self, sent: EventSent, at: datetime) -> None:
        """Store an event that is sent; of a `Calls Ended`, each call."""
        of_each = sent.of_each or (sent.expected,)
        for body, expected in zip(events_in(sent.body), of_each, strict=True):
            self._send(sent._replace(body=body, expected=expected), at)

    def _send(self, sent: EventSent, at: datetime) -> None:
        body = sent.body
        if body in self.sent:
            return
        event = _read(sent)
        if event is not None:
            # A copy that an operator sends back arrives later.
            event = replace(event, heard_at=at)
            content = _content(event) if _may_be_sent_again(event) else body
            self.contents[_identity(event)].add(content)
        self.sent[body] = _Sent(body, sent.expected, event)

    def masked(self, stored: Snapshot) -> Iterator[str]:
        """Yield the reports of masked calls: each must still be a duplicate."""
        for sent in self.sent.values():
            if isinstance(sent.event, EndedCall):
                call = sent.event.call
                usage = stored.usages.get(call.call_id)
                if (
                    usage is not None
                    and usage.content_digest is not None
                    and call.organization_id == usage.call.organization_id
                    and not differing_content(call, usage, stored.content_key)
                ):
                    yield sent.body

    def call(self, organization_id: str, call_id: str) -> Iterator[Call]:
        """Yield each content that was sent of a call."""
        for content in self.contents.get(("call", organization_id, call_id), ()):
            if isinstance(content, Call):
                yield content

    def about(self, organization_id: str) -> Iterator[tuple[EventSent, ReadEvent]]:
        """Yield the calls and licensing events of an organization."""
        for body, _, event in self.sent.values():
            if event is not None and organization_of(event) == organization_id:
                if isinstance(event, EndedCall):
                    yield EventSent("telephony", body), event
                elif isinstance(event, LicensingEvent):
                    yield EventSent("licensing", body), event

    def check(
        self, snapshots: Mapping[str, Snapshot], recorder: WriteRecorder, now: datetime
    ) -> Iterator[Broken]:
        """Check all invariants of a world in which nothing is under way."""
        taken: defaultdict[str, list[ReadEvent]] = defaultdict(list)
        refused = Counter(refusal.body for refusal in recorder.refused)
        stored: dict[tuple[object, ...], object] = {}
        for sent in self.sent.values():
            event = sent.event
            is_taken = event is not None and _is_taken(event, snapshots)
            yield from self._settled_once(sent, is_taken=is_taken, refusals=refused[sent.body])
            if event is None or not is_taken:
                continue
            identity, content = _identity(event), _content(event)
            # The copy of a replay is taken for what it is; else there are two contents.
            is_copy = _may_be_sent_again(event) and stored.get(identity) == content
            if identity in stored and not is_copy:
                yield from _one_content(f"another one is stored: {sent.body}")
                continue
            if is_copy and isinstance(event, EndedCall):
                continue
            stored[identity] = content
            taken[organization_of(event)].append(event)
            yield from calls.lasted(sent.body, event, snapshots)
        yield from _only_sent_is_refused(*refused.keys() - self.sent.keys())
        yield from same_second.broken(self.sent, refused, snapshots)
        events = [sent.event for sent in self.sent.values() if sent.event]
        yield from notifications.broken(recorder, snapshots, events)
        yield from calls.charged_as_reported(recorder, snapshots)
        for name, snapshot in snapshots.items():
            organization = Organization(name, snapshot, taken[name], self.cards, now)
            yield from broken_by(organization)

    def _settled_once(self, sent: _Sent, *, is_taken: bool, refusals: int) -> Iterator[Broken]:
        alone = sent.event is None or len(self.contents[_identity(sent.event)]) == 1
        if is_taken and refusals and sent.expected is not Expected.ONCE_KNOWN:
            yield from _taken_or_refused(f"it was both: {sent.body}")
        elif not is_taken and not refusals:
            yield from _taken_or_refused(f"it was neither: {sent.body}")
        elif sent.expected is Expected.TAKEN and alone and not is_taken:
            yield from _right_is_taken(f"it was refused: {sent.body}")
        elif sent.expected is Expected.REFUSED and is_taken:
            yield from _wrong_is_refused(f"it was taken: {sent.body}")


@invariant
def refused_once(
    log: EventLog, refused: Counter[str], received: Counter[str], settled: Counter[str]
) -> Iterator[str]:
    """A wrong event is refused once."""
    for body, times in refused.items():
        sent = log.sent.get(body)
        may_be_taken = sent is not None and sent.expected is Expected.ONCE_KNOWN
        least = 1 if may_be_taken else settled[body]
        # A refusal that failed before it was complete may be stored all the same.
        if not least <= times <= received[body]:
            yield f"it came {received[body]} times and was refused {times} times: {body}"


@invariant
def fits_a_transaction(message: str) -> Iterator[str]:
    """What is queued again is one transaction of one organization."""
    calls = json.loads(message)["detail"]["calls"]
    organizations = {call["organizationId"] for call in calls}
    if len(organizations) != 1 or len(calls) > CALLS_PER_PART:
        yield f"{len(calls)} calls of {sorted(organizations)}: {message}"


def _read(sent: EventSent) -> ReadEvent | None:
    """Read an event as its function does, without the time of its arrival."""
    try:
        match sent.source:
            case "telephony":
                return ended_call(read_event(sent.body, TELEPHONY))
            case "billing":
                return credit_event(read_event(sent.body, BILLING))
            case _:
                return licensing_event(read_event(sent.body, LICENSING))
    except Refused:
        return None


def _identity(event: ReadEvent) -> tuple[object, ...]:
    """Return what identifies an event for ever (docs/events.md)."""
    if isinstance(event, EndedCall):
        return "call", event.call.organization_id, event.call.call_id
    key = event.processed_event.key
    return key.kind, key.organization_id, key.id


def _content(event: ReadEvent) -> object:
    return event.call if isinstance(event, EndedCall) else event.processed_event.content


def _may_be_sent_again(event: ReadEvent) -> bool:
    """Whether its identity is not the event's id, so that it may be sent by another event."""
    if isinstance(event, EndedCall):
        return True
    return event.processed_event.key.kind is IdentityKind.CHANGE


def _is_taken(event: ReadEvent, snapshots: Mapping[str, Snapshot]) -> bool:
    snapshot = snapshots.get(organization_of(event))
    if snapshot is None:
        return False
    if isinstance(event, EndedCall):
        usage = snapshot.usages.get(event.call.call_id)
        if usage is None:
            return False
        return not differing_content(event.call, usage, snapshot.content_key)
    known = snapshot.processed_event(event.processed_event.key)
    # Of an event about somebody who is erased remains only that it was processed.
    return known is not None and known.content in (event.processed_event.content, ERASED_CONTENT)
