"""Make one call of the records of a channel.

Unless `ignorestatechanges` is set, Asterisk begins a record for each channel that one is bridged
with, and a conference bridges all of its channels (main/cdr.c of asterisk/asterisk).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from perminute.sources import values
from perminute.sources.asterisk_times import timezone_mismatch
from perminute.sources.outcomes import Skip, SkipReason
from perminute.sources.stated_call import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perminute.sources.outcomes import Problem
    from perminute.sources.stated_call import StatedCall

# Asterisk writes the records of a channel together, when it is hung up. What comes later than so
# many others is a call of its own, which conflicts with the first.
MAX_WAITING = 5_000

_Outcome: TypeAlias = "StatedCall | Skip | Problem"


class CallRecord(NamedTuple):
    """A record of a call."""

    at: str  # its place
    content: dict[str, str]
    is_late: bool  # it begins much later than its channel
    call: StatedCall


def merged(records: Iterable[CallRecord | Reading]) -> Iterator[Reading]:
    """Yield the outcome of each record: of those of one channel the first has the call.

    A record that is no call comes as it is.
    """
    waiting, channels = deque[CallRecord | Reading](), _Channels()
    for record in records:
        if isinstance(record, CallRecord):
            channels.add(record)
        waiting.append(record)
        if len(waiting) > MAX_WAITING:
            yield channels.reading(waiting.popleft())
    for record in waiting:
        yield channels.reading(record)


class _Channels:
    """The channels of the records that wait."""

    def __init__(self) -> None:
        self._records = dict[str, list[CallRecord]]()
        self._readings = dict[str, Reading]()  # of those after the first, by their places

    def add(self, record: CallRecord) -> None:
        self._records.setdefault(record.call.call_id, []).append(record)

    def reading(self, record: CallRecord | Reading) -> Reading:
        """Return the outcome of a record that no longer waits."""
        if isinstance(record, Reading):
            return record
        reading = self._readings.pop(record.at, None)
        if reading is None:
            # The first of its channel. What comes after now is no longer part of the call.
            reading, *others = _readings(self._records.pop(record.call.call_id))
            self._readings.update((other.at, other) for other in others)
        return reading


def _readings(records: Sequence[CallRecord]) -> list[Reading]:
    # Whoever keeps a record of the call needs all of them: each alone would be another call.
    whole = records[0].content if len(records) == 1 else tuple(each.content for each in records)
    return [
        Reading(record.at, record.content if isinstance(outcome, Skip) else whole, outcome)
        for record, outcome in zip(records, _outcomes(records), strict=True)
    ]


def _outcomes(records: Sequence[CallRecord]) -> list[_Outcome]:
    first = records[0]
    if first.is_late:
        mismatch = timezone_mismatch("StartTime: is much later than the channel")
        return [mismatch] * len(records)
    if len(records) == 1:
        return [first.call]
    contents = [tuple(record.content.values()) for record in records]
    # A record that is there twice adds nothing, and is a duplicate.
    numbers = {content: number for number, content in reversed(list(enumerate(contents)))}
    call = _whole_call([records[number].call for number in sorted(numbers.values())])
    merged_leg = Skip(SkipReason.MERGED_LEG)
    return [
        merged_leg if number and numbers[content] == number else call
        for number, content in enumerate(contents)
    ]


def _whole_call(calls: Sequence[StatedCall]) -> StatedCall:
    if len(calls) == 1:
        return calls[0]
    answered_at = min((call.answered_at for call in calls if call.answered_at), default=None)
    ended_at = max(call.ended_at for call in calls)
    seconds = values.seconds_between(answered_at, ended_at) if answered_at else 0
    return calls[0]._replace(answered_at=answered_at, ended_at=ended_at, billable_seconds=seconds)
