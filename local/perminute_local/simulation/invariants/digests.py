"""Notifications of calls: each once, as the first call of its day, by itself or in one digest."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.credit.charging import notifications_of_call
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import end_of
from perminute_local.simulation.invariants.invariant import invariant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.invariants.invariant import Broken

_OF_CALLS = {"CallNotEntitled", "CallNotRated", "CallFlagged"}


class CallGroup(NamedTuple):
    """The calls that one digest is about."""

    organization_id: str
    day: str
    organizer_id: str
    type: str
    reason: str


class _Recorded(NamedTuple):
    since: datetime
    kinds: frozenset[tuple[str, str]]
    """Type and reason of what there is to be notified of."""
    usage: Usage


def is_to_be_counted(document: Mapping[str, Any]) -> bool:
    """Whether a digest may count it: then it is not published as it is."""
    return "countedOn" in document


@dataclass
class Digests:
    """What was decided to be notified of calls, and what became of it."""

    all_days_ended_at: datetime | None = None
    """When the simulator ended the last day early; until then digests are of days before."""
    decided: defaultdict[CallGroup, dict[str, str]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """The calls of each group, and the id of the newest notification of each."""
    notified: defaultdict[CallGroup, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The calls of each group that were notified of."""
    firsts: set[CallGroup] = field(default_factory=set)
    """Groups whose first call was notified of."""
    erased: dict[str, str] = field(default_factory=dict)
    """The names of organizers by their pseudonyms."""
    _records: dict[tuple[str, str], _Recorded] = field(default_factory=dict)
    _groups: dict[str, CallGroup] = field(default_factory=dict)
    """By the ids of notifications."""

    def record(self, usages: Sequence[Usage], at: datetime) -> None:
        """Store calls as they are from now on."""
        for usage in usages:
            kinds = frozenset(
                (type(body).__name__, body.reason.value) for body in notifications_of_call(usage)
            )
            key = usage.call.organization_id, usage.call.call_id
            self._records[key] = _Recorded(at, kinds, usage)

    def decide(self, document: Mapping[str, Any]) -> None:
        """Store that a call is to be notified of, or to be counted."""
        group = _group(document, document["countedOn"])
        self.decided[group][document["callId"]] = document["id"]
        self._groups[document["id"]] = group

    def notify(
        self, document: Mapping[str, Any], at: datetime, *, is_first: bool
    ) -> Iterator[Broken]:
        """Check what is published of calls, and store it."""
        if document["type"] not in _OF_CALLS:
            return
        if document["callId"] is None:
            group = _group(document, document["day"])
        else:
            group = self._groups[document["id"]]
        call_ids = document.get("callIds") or [document["callId"]]
        over_at = end_of(date.fromisoformat(group.day))
        yield from _one_first(self, group, is_first=is_first)
        if is_first:
            self.firsts.add(group)
        else:
            yield from _as_it_is(self, group, call_ids, over_at, at)
        yield from _once(self, group, call_ids, document, is_first=is_first)
        self.notified[group] += call_ids
        if "calls" in document:
            records = [self.record_of(group, call_id) for call_id in call_ids]
            # What changed since the day was over may have been counted either way.
            if all(record.since < over_at for record in records):
                yield from _costs(group, call_ids, records, document)

    def alike(self, group: CallGroup) -> tuple[CallGroup, ...]:
        """Return the groups whose calls a digest may count as those of a group.

        An organizer may be erased after the calls were notified of, and before they are counted.
        """
        name = self.erased.get(group.organizer_id)
        return (group,) if name is None else (group, group._replace(organizer_id=name))

    def record_of(self, group: CallGroup, call_id: str) -> _Recorded:
        """Return a call of a group as it is."""
        return self._records[group.organization_id, call_id]


def _group(document: Mapping[str, Any], day: str) -> CallGroup:
    who, organizer_id = document["organizationId"], document["organizerId"]
    return CallGroup(who, day, organizer_id, document["type"], document["reason"])


@invariant
def _one_first(digests: Digests, group: CallGroup, *, is_first: bool) -> Iterator[str]:
    """One call of a day is the first."""
    if is_first and group in digests.firsts:
        yield f"{group} has another first call"
    if not is_first and digests.firsts.isdisjoint(digests.alike(group)):
        yield f"of {group} others are notified of, and no first call"


@invariant
def _as_it_is(
    digests: Digests, group: CallGroup, call_ids: Sequence[str], over_at: datetime, at: datetime
) -> Iterator[str]:
    """A digest counts calls as they are when the day is over."""
    ended_at = digests.all_days_ended_at
    if at < over_at and ended_at is None:
        yield f"calls of {group} were counted at {at}, before the day was over"
    for call_id in call_ids:
        record = digests.record_of(group, call_id)
        is_older = record.since < min(over_at, ended_at or over_at)
        if is_older and (group.type, group.reason) not in record.kinds:
            yield f"{call_id} was counted for {group}, and is not that since {record.since}"


@invariant
def _once(
    digests: Digests,
    group: CallGroup,
    call_ids: Sequence[str],
    document: Mapping[str, Any],
    *,
    is_first: bool,
) -> Iterator[str]:
    """Each call is notified of once."""
    groups, count = digests.alike(group), document.get("calls", 1)
    decided = set(chain.from_iterable(digests.decided[one] for one in groups))
    # What is decided under a pseudonym may have been notified of under the name: nobody knows then.
    notified = {
        call_id
        for one in groups
        for call_id in digests.notified[one]
        if one == group or call_id not in digests.decided[group]
    }
    if len(call_ids) != count or (is_first and count > 1):
        yield f"of {count} calls of {group} {call_ids} are named"
    for number, call_id in enumerate(call_ids):
        if call_id not in decided:
            yield f"{call_id} is no call of {group}"
        if call_id in (*notified, *call_ids[:number]):
            yield f"{call_id} of {group} was notified of before"


@invariant
def _costs(
    group: CallGroup,
    call_ids: Sequence[str],
    records: Sequence[_Recorded],
    document: Mapping[str, Any],
) -> Iterator[str]:
    """A digest says what its calls cost."""
    currency = document.get("currency")
    prices = [record.usage.stated_price for record in records]
    micros = [
        price.retail_micros
        for price in prices
        if price.retail_micros is not None and price.currency == currency
    ]
    cost = format_micros(sum(micros)) if micros else None
    if cost != document.get("retailCost"):
        yield f"{call_ids} of {group} cost {cost} {currency}, not {document}"


@invariant
def no_call_forgotten(
    digests: Digests, organization_id: str, usages: Iterable[Usage], *, is_due: bool
) -> Iterator[str]:
    """No call is forgotten that is to be notified of."""
    if is_due:
        yield f"{organization_id} has digests due that are not sent"
    notified = {
        (call_id, group.type, group.reason)
        for group, call_ids in digests.notified.items()
        if group.organization_id == organization_id
        for call_id in call_ids
    }
    for usage in usages:
        for body in notifications_of_call(usage):
            call_id, reason = usage.call.call_id, body.reason.value
            if (call_id, type(body).__name__, reason) not in notified:
                yield f"{organization_id} was never notified that {call_id} is {reason}"
