"""What was notified of calls: each once, as the first of its day, by itself or in one digest."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.credit.charging import notifications_of_call
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.rating.usage_record import Usage

ONE_FIRST = "one call of a day is the first"
ONCE = "each call is notified of once"
NONE_LOST = "no call is forgotten that is to be notified of"
AS_IT_IS = "a digest counts calls as they are when the day is over"
SUM = "a digest says what its calls cost"

_OF_CALLS = {"CallNotEntitled", "CallNotRated", "CallFlagged"}
MOST_CALLS_NAMED = 10_000
"""Calls that a digest of a world names, instead of ten: all that it counts."""

Document = dict[str, Any]


class Group(NamedTuple):
    """The calls that one digest is about, of one organization."""

    organization_id: str
    day: str
    organizer_id: str
    type: str
    reason: str


class _Turn(NamedTuple):
    """What there is to be notified of a call, and since when."""

    since: datetime
    said: frozenset[tuple[str, str]]
    usage: Usage


def is_to_be_counted(document: Mapping[str, Any]) -> bool:
    """Whether a digest may count it: then it is not published as it is."""
    return "countedOn" in document


@dataclass
class NotifiedCalls:
    """What was decided of calls, and what became of it."""

    ended_at: datetime | None = None
    """When the world ended the day that was not over: until then digests are of days before."""
    decided: defaultdict[Group, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """The calls of each group, and the id of what was decided of each last."""
    notified: defaultdict[Group, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The calls of each group that were notified of."""
    firsts: set[Group] = field(default_factory=set)
    _turns: defaultdict[tuple[str, str], list[_Turn]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _groups: dict[str, Group] = field(default_factory=dict)
    """By the ids of what was decided."""

    def record(self, usages: Sequence[Usage], at: datetime) -> None:
        """Take note of calls as they are from now on."""
        for usage in usages:
            said = frozenset(
                (type(one).__name__, one.reason.value) for one in notifications_of_call(usage)
            )
            turns = self._turns[usage.call.organization_id, usage.call.call_id]
            turns.append(_Turn(at, said, usage))

    def decide(self, document: Mapping[str, Any]) -> None:
        """Take note of a call that is to be notified of, or to be counted."""
        group = Group(
            document["organizationId"],
            document["countedOn"],
            document["organizerId"],
            document["type"],
            document["reason"],
        )
        self.decided[group][document["callId"]] = document["id"]
        self._groups[document["id"]] = group

    def notify(
        self, document: Mapping[str, Any], at: datetime, *, is_first: bool
    ) -> Iterator[tuple[str, str]]:
        """Take note of what is published of calls, and say what is wrong with it."""
        if document["type"] not in _OF_CALLS:
            return
        group = self._group_of(document)
        call_ids = document.get("callIds") or [document["callId"]]
        if is_first:
            yield from self._first(group)
        else:
            yield from self._not_over(group, at)
            for call_id in call_ids:
                yield from self._is_no_longer(group, call_id)
        count = document.get("calls", 1)
        if len(call_ids) != count or (is_first and count > 1):
            yield ONCE, f"of {count} calls of {group} {call_ids} are named"
        for call_id in call_ids:
            if call_id not in self.decided[group]:
                yield ONCE, f"{call_id} is no call of {group}"
            if call_id in self.notified[group]:
                yield ONCE, f"{call_id} of {group} was notified of before"
            self.notified[group].append(call_id)
        yield from self._costs(group, call_ids, document)

    def forgotten(self, calls: Sequence[Usage]) -> Iterator[tuple[str, str]]:
        """Find calls of which nobody was ever notified of what they are."""
        told = {
            (group.organization_id, call_id, group.type, group.reason)
            for group, call_ids in self.notified.items()
            for call_id in call_ids
        }
        for usage in calls:
            for news in notifications_of_call(usage):
                who, what = usage.call.organization_id, (type(news).__name__, news.reason.value)
                if (who, usage.call.call_id, *what) not in told:
                    why = f"{who} was never notified that {usage.call.call_id} is {what[1]}"
                    yield NONE_LOST, why

    def _group_of(self, document: Mapping[str, Any]) -> Group:
        if document["callId"] is not None:
            return self._groups[document["id"]]
        return Group(
            document["organizationId"],
            document["day"],
            document["organizerId"],
            document["type"],
            document["reason"],
        )

    def _first(self, group: Group) -> Iterator[tuple[str, str]]:
        if group in self.firsts:
            yield ONE_FIRST, f"{group} has another first call"
        self.firsts.add(group)

    def _not_over(self, group: Group, at: datetime) -> Iterator[tuple[str, str]]:
        if group not in self.firsts:
            yield ONE_FIRST, f"of {group} others are notified of, and no first call"
        over_at = end_of(date.fromisoformat(group.day))
        if at < over_at and self.ended_at is None:
            yield AS_IT_IS, f"calls of {group} were counted at {at}, before the day was over"

    def _is_no_longer(self, group: Group, call_id: str) -> Iterator[tuple[str, str]]:
        """Find what a call was no longer when the day was over, which is before it is counted."""
        turn = self._turns[group.organization_id, call_id][-1]
        over_at = end_of(date.fromisoformat(group.day))
        if self.ended_at is not None:
            over_at = min(over_at, self.ended_at)
        if turn.since < over_at and (group.type, group.reason) not in turn.said:
            why = f"{call_id} was counted for {group}, and is no longer that since {turn.since}"
            yield AS_IT_IS, why

    def _costs(
        self, group: Group, call_ids: Sequence[str], document: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        """Add up what calls cost that have not changed since the day was over."""
        turns = [self._turns[group.organization_id, call_id][-1] for call_id in call_ids]
        over_at = end_of(date.fromisoformat(group.day))
        if "calls" not in document or any(turn.since >= over_at for turn in turns):
            return
        prices = [turn.usage.stated_price for turn in turns]
        currency = document.get("currency")
        micros = [
            price.retail_micros
            for price in prices
            if price.retail_micros is not None and price.currency == currency
        ]
        cost = format_micros(sum(micros)) if micros else None
        if cost != document.get("retailCost"):
            yield SUM, f"{call_ids} of {group} cost {cost} {currency}, not {document}"
