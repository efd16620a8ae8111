"""Times of Asterisk's records: local ones, of which the id of the channel makes instants."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.sources import values
from perminute.sources.outcomes import Problem, ProblemReason, Rejected, problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

_START, _ANSWER = "StartTime", "AnswerTime"
# Unless whoever made the channel chose its id: [systemname-]{epoch}.{n}.
_CHANNEL_ID = re.compile(r"(?:.*-)?([0-9]{9,10})\.[0-9]+", re.ASCII | re.DOTALL)
_LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
# Both are cut to seconds, at moments of their own.
_EARLIER = timedelta(seconds=2)
# Of the longest call; it may have records that begin at any time of it.
_LATER = timedelta(seconds=MAX_CALL_SECONDS)
# A channel's first record begins with it, and zones differ by 15 minutes or more.
_LATEST_START = timedelta(minutes=14)


class LocalTimes(NamedTuple):
    """The times of a record as the clock of the server showed them."""

    start: datetime
    answer: datetime | None  # None: never answered
    zone: tzinfo

    def start_instant(self, epoch: datetime | None) -> datetime:
        """Return the first instant of the start that is not before the channel was made.

        So the right one is found of two instants that clocks show alike in autumn. Raises
        `Rejected`, `timezoneMismatch`.
        """
        possible = values.instants_of(self.start, self.zone)
        if epoch is None:
            return self._only(list(possible))
        for at in possible:
            if epoch - _EARLIER <= at <= epoch + _LATER:
                return at
        raise self._mismatch(_START)

    def answer_instant(self, start: datetime) -> datetime | None:
        """Return the first instant of the answer from the start on. Raises as above."""
        if self.answer is None:
            return None
        latest = None
        for latest in values.instants_of(self.answer, self.zone):
            if latest >= start:
                return latest
        if latest is None:
            raise self._mismatch(_ANSWER)
        return latest

    def _only(self, possible: list[datetime]) -> datetime:
        if len(possible) > 1:
            message = f"{_START}: {self.start} happens twice in {self.zone}; UniqueID has no epoch"
            raise problem(ProblemReason.INVALID_TIME, message)
        if not possible:
            raise self._mismatch(_START)
        return possible[0]

    def _mismatch(self, name: str) -> Rejected:
        return Rejected(timezone_mismatch(f"{name}: is not a time of this channel in {self.zone}"))


def read_times(record: Mapping[str, Any], zone: tzinfo | None) -> LocalTimes:
    """Return the times of a record. Raises `Rejected`, `invalidTime`."""
    if zone is None:
        message = f"{_START}: has no offset; name the time zone of the server by --timezone"
        raise problem(ProblemReason.INVALID_TIME, message)
    was_answered = values.text(record, _ANSWER) is not None
    answer = _local_time(record, _ANSWER) if was_answered else None
    return LocalTimes(_local_time(record, _START), answer, zone)


def channel_epoch(channel_id: str) -> datetime | None:
    """Return when a channel was made, as its id says; None if the id is one of another kind."""
    match = _CHANNEL_ID.fullmatch(channel_id)
    return datetime.fromtimestamp(int(match[1]), UTC) if match else None


def is_late(start: datetime, epoch: datetime | None) -> bool:
    """Return whether a record begins later than the first one of its channel can."""
    return epoch is not None and start > epoch + _LATEST_START


def timezone_mismatch(what: str) -> Problem:
    """Return the problem of times that are not those of the channel."""
    message = f"{what}; --timezone is not that of the server, or its clock was set"
    return Problem(ProblemReason.TIMEZONE_MISMATCH, message)


def _local_time(record: Mapping[str, Any], name: str) -> datetime:
    stated = values.text(record, name) or ""
    try:
        if _LOCAL_TIME.fullmatch(stated):
            return values.bounded(datetime.fromisoformat(stated), name)
    except ValueError:
        stated = "no day of the calendar"
    message = f"{name}: must be a local time such as 2026-11-02 09:00:00"
    raise problem(ProblemReason.INVALID_TIME, message)
