"""The call records that were dropped and posted, and what became of each."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute_local.simulation.invariants.invariant import invariant
from perminute_local.simulation.plan import event_sent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from perminute.application.ingest_records import IngestedRecords
    from perminute.domain.rating.calls import Call
    from perminute_local.simulation.backends.backend import Snapshot
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.plan import CallRecord, ObjectDropped
    from perminute_local.simulation.write_recorder import Refusal

RECORD_ID = re.compile(r"rec-[0-9]+-[0-9]+(?:\.[0-9]+)?")
"""The ids of calls in the records of a world: of no other call, and beyond any damage."""
_PART = re.compile(r"(?: bytes [0-9]+-[0-9]+)?")
_REPEATED = ("duplicate", "mergedLeg")
_VANISHED = "object: vanished"


@dataclass
class RecordLog:
    """The records that were sent, and what the function that reads them reported."""

    sent: dict[str, CallRecord] = field(default_factory=dict)
    dropped: dict[str, ObjectDropped] = field(default_factory=dict)
    """The objects, by where they are."""
    refused: list[Refusal] = field(default_factory=list)
    """What is kept: records, and messages with them."""
    _unanswered: set[str] = field(default_factory=set)
    """Records that were posted and may not have been taken."""
    _results: dict[str, IngestedRecords] = field(default_factory=dict)
    """What was reported last of an object or a part, by where it is."""

    def drop(self, place: str, dropped: ObjectDropped) -> None:
        """Record that an object was put."""
        self.dropped[place] = dropped
        self.sent |= {record.call_id: record for record in dropped.records}

    def post(self, record: CallRecord, *, is_taken: bool) -> None:
        """Record that a record was posted, and whether that was confirmed."""
        self.sent[record.call_id] = record
        if is_taken:
            self._unanswered.discard(record.call_id)
        else:
            self._unanswered.add(record.call_id)

    def ingest(self, ingested: IngestedRecords) -> None:
        """Record what the function reports of a message."""
        self._results[ingested.place] = ingested

    def check(self, snapshots: Mapping[str, Snapshot], now: datetime) -> Iterator[Broken]:
        """Check what became of each record, where nothing is under way."""
        charged = _charged(snapshots)
        kept: defaultdict[str, set[str]] = defaultdict(set)
        vanished: set[str] = set()
        for refusal in self.refused:
            for call_id in _ids_in(refusal.body):
                kept[call_id].add(refusal.reason)
            if refusal.reason.startswith(_VANISHED):
                vanished |= {place for place in self.dropped if place in refusal.reason}
        may_be_gone = {
            record.call_id
            for place in vanished
            if self.dropped[place].vanishes_after is not None
            for record in self.dropped[place].records
        }
        for call_id in {*charged, *kept, *self.sent}:
            record = self.sent.get(call_id)
            is_certain = call_id not in self._unanswered | may_be_gone
            yield from _is_what_became(
                record, charged[call_id], kept[call_id], now, is_certain=is_certain
            )
        for place, dropped in self.dropped.items():
            if dropped.vanishes_after is None:
                yield from _adds_up(place, dropped, self._results)


def _charged(snapshots: Mapping[str, Snapshot]) -> defaultdict[str, list[Call]]:
    charged: defaultdict[str, list[Call]] = defaultdict(list)
    for stored in snapshots.values():
        for call_id, usage in stored.usages.items():
            if RECORD_ID.fullmatch(call_id):
                charged[call_id].append(usage.call)
    return charged


def _ids_in(body: str) -> set[str]:
    records = json.loads(body).get("records", {})
    content: str = records.get("content", "")
    if records.get("base64"):
        content = b64decode(content).decode(errors="replace")
    return set(RECORD_ID.findall(content))


@invariant
def _is_what_became(
    record: CallRecord | None,
    charged: list[Call],
    kept: set[str],
    now: datetime,
    *,
    is_certain: bool,
) -> Iterator[str]:
    """No call record is lost, doubled or guessed."""
    if record is None:
        yield f"{charged or kept} is of no record"
        return
    call = record.call and ended_call(
        read_event(event_sent(record.call_id, "Call Ended", now, record.call).body, TELEPHONY)
    )
    due = call.call if call else None
    if any(one != due for one in charged) or len(charged) > 1:
        yield f"{record} is charged as {charged}"
    if any(not record.kept or not reason.startswith(f"{record.kept}:") for reason in kept):
        yield f"{record} is kept for {kept}"
    if is_certain and (due or record.kept) and not (charged or kept):
        yield f"{record} is neither charged nor kept"


@invariant
def _adds_up(
    place: str, dropped: ObjectDropped, results: Mapping[str, IngestedRecords]
) -> Iterator[str]:
    """What is reported of call records adds up to those that there are."""
    parts = [one for name, one in results.items() if _PART.fullmatch(name.removeprefix(place))]
    skipped = sum((Counter(part.skipped) for part in parts), Counter[str]())
    kept = sum(sum(part.kept.values()) for part in parts)
    count = sum(part.calls for part in parts) + skipped.total() + kept
    repeated = sum(skipped.pop(reason, 0) for reason in _REPEATED)
    due = Counter(record.skipped for record in dropped.records if record.skipped)
    if count != len(dropped.records) or skipped != due:
        yield (
            f"{place} has {len(dropped.records)} records, {dict(due)} to skip: {count} were read, "
            f"{dict(skipped)} skipped, {repeated} repeated, {kept} kept"
        )
