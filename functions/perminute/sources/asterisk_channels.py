"""Make one call of the records of a channel.

Unless `ignorestatechanges` is set, Asterisk begins a record for each channel that one is bridged
with, and a conference bridges all of its channels (main/cdr.c of asterisk/asterisk).
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.values.times import ExactInstant, started_seconds
from perminute.sources.asterisk_times import channel_epoch, timezone_mismatch
from perminute.sources.outcomes import Problem, Skip, SkipReason
from perminute.sources.stated_call import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from perminute.sources.stated_call import StatedCall

# Asterisk writes the records of a channel together, when it is hung up. What comes later than so
# many others is a call of its own, which conflicts with the first.
MAX_WAITING = 5_000
# A channel's first record begins with it, and zones differ by 15 minutes or more.
_LATEST_START = timedelta(minutes=14)


class CallRecord(NamedTuple):
    """A record of a call."""

    at: str  # its place
    content: dict[str, str]
    start: datetime
    call: StatedCall


def merged(records: Iterable[CallRecord | Reading]) -> Iterator[Reading]:
    """Yield the outcome of each record: of those of one channel the first has the call.

    A record that is no call comes as it is.
    """
    waiting = deque[tuple[CallRecord, _Channel] | Reading]()
    channels = dict[str, _Channel]()
    for record in records:
        if isinstance(record, CallRecord):
            channel = channels.setdefault(record.call.call_id, _Channel(record))
            channel.add(record)
            waiting.append((record, channel))
        else:
            waiting.append(record)
        if len(waiting) > MAX_WAITING:
            yield _outcome(waiting.popleft(), channels)
    for entry in waiting:
        yield _outcome(entry, channels)


def _outcome(
    entry: tuple[CallRecord, _Channel] | Reading, channels: dict[str, _Channel]
) -> Reading:
    if isinstance(entry, Reading):
        return entry
    record, channel = entry
    # Its first record leaves: whatever comes later is no longer part of it.
    if record is channel.first:
        del channels[record.call.call_id]
    return Reading(record.at, record.content, channel.outcome(record))


class _Channel:
    """The records of one channel."""

    def __init__(self, first: CallRecord) -> None:
        self.first = first
        self._records = dict[tuple[str, ...], CallRecord]()  # by their contents

    def add(self, record: CallRecord) -> None:
        self._records.setdefault(tuple(record.content.values()), record)

    def outcome(self, record: CallRecord) -> StatedCall | Skip | Problem:
        is_repeated = self._records[tuple(record.content.values())] is not record
        if record is self.first or is_repeated or isinstance(self._call, Problem):
            return self._call
        return Skip(SkipReason.MERGED_LEG)

    @cached_property
    def _call(self) -> StatedCall | Problem:
        call, epoch = self.first.call, channel_epoch(self.first.call.call_id)
        if epoch is not None and self.first.start > epoch + _LATEST_START:
            return timezone_mismatch("StartTime: is much later than the channel")
        return call if len(self._records) == 1 else self._whole_call()

    def _whole_call(self) -> StatedCall:
        calls = [record.call for record in self._records.values()]
        answered_at = min((call.answered_at for call in calls if call.answered_at), default=None)
        ended_at = max(call.ended_at for call in calls)
        seconds = _seconds_between(answered_at, ended_at) if answered_at else 0
        return calls[0]._replace(
            answered_at=answered_at, ended_at=ended_at, billable_seconds=seconds
        )


def _seconds_between(start: datetime, end: datetime) -> int:
    # Of an end before its start none; that is a problem of the record anyway.
    return max(0, started_seconds(ExactInstant(start), ExactInstant(end)))
