"""Items that list the calls of a transaction, and those that say what it changed of other calls.

Lists are `calls#…` of the credit table, by when the last of their calls ended. An index would lag
behind, and cost a write unit for each call. The entry of what the calls were charged is mostly in
one of them: an item of its own would cost two more. Revisions are `revised#…`, by when the last of
their calls ended, as recorded before the change.

Calls are written column by column, since like beside like is what compression shortens best, and as
differences from what is usual, most of which are 0: every transaction pays for its list by the
kilobyte.
"""

from __future__ import annotations

import zlib
from math import gcd
from operator import add, sub
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from msgspec import Raw
from msgspec.json import Decoder, encode

from perminute.adapters.dynamodb.account_items import CALLS, CHARGE, credit_key, entry_in
from perminute.adapters.dynamodb.call_items import REASONS
from perminute.adapters.dynamodb.codec import (
    MICROS_PER_SECOND,
    MICROSECOND,
    as_json,
    sortable,
)
from perminute.domain.credit.ledger import entry_id
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reporting.postings import (
    ListedUsage,
    Posting,
    RevisedUsage,
    Revision,
    UsageList,
)
from perminute.domain.values.times import EPOCH
from perminute.ports.stores import CallList, ListedCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.credit.transaction import CallsOfDay

DIAL_OUTS = "dialOuts"
"""How many of the calls are dial-outs, if any: pools are settled by these lists alone."""
REVISED = "revised#"
ENDED_OTHERWISE = "#ended"
"""How the names of lists end whose calls bridges had reported with another end."""
OF_OTHERS = "#again"
"""How those end whose calls are listed for re-ratings once more: reports have their lists."""

_CHARGE = as_json(CHARGE)
_Price = tuple[str | None, str | None, int | None, int | None, str | None]
"""Prefix, country, micro-units a minute, connection fee and currency."""

_LEVEL = 4
"""Of compression: by the usual level 6, 90 calls would take 17 bytes less, and 40 us more."""
_PRICE = slice(ListedUsage._fields.index("prefix"), ListedUsage._fields.index("currency") + 1)

T = TypeVar("T")


class _Calls(NamedTuple):
    """What is stored of the calls of a list or revision: columns, in the order of the calls.

    Of a value that few calls differ in, the column has its place among those that occur.
    """

    # What re-rating reads. Times are in the largest unit of microseconds that leaves none of them a
    # fraction, mostly seconds.
    organizers: list[str]
    leg_types: list[LegType]
    first_end: int
    unit: int
    call_ids: list[str]
    organizer: list[int]
    leg_type: list[int]
    ended: list[int]  # after the first end
    lasted: list[int]
    # What only reports read, see `_Results`.
    results: Raw

    @property
    def times(self) -> Iterator[tuple[datetime, datetime]]:
        """When each call was answered, and ended."""
        first = EPOCH + self.first_end * MICROSECOND
        unit = self.unit * MICROSECOND
        for ended, lasted in zip(self.ended, self.lasted, strict=True):
            ended_at = first + ended * unit
            yield ended_at - lasted * unit, ended_at


class _Results(NamedTuple):
    posting: list[int]  # empty: reports find the calls in another list
    prices: list[_Price]
    outcomes: list[tuple[Outcome, str | None, tuple[Flag, ...]]]  # with the reason and the flags
    price: list[int]
    outcome: list[int]
    connected: list[int]  # seconds more than there are from answer to end
    billed: list[int]  # seconds more than the connected ones rounded up to a minute
    retail: list[int | None]  # micro-units more than the billed seconds at the price
    charge: list[int]  # micro-units more than the retail cost if it was charged, or than 0
    pool_minutes: list[int]


_read_calls = Decoder(_Calls).decode
_read_results = Decoder(_Results).decode


# ── Written ──────────────────────────────────────────────────────────────────────────────────


def call_list_item(organization_id: str, calls: CallsOfDay) -> Item:
    """List calls that ended on one day, with the entry of their charge if it belongs there."""
    usages = [ListedUsage.of(usage) for usage in calls.usages]
    suffix, posting = "", _written_posting(calls.posting, has_entry=calls.entry is not None)
    if calls.is_again:
        suffix = ENDED_OTHERWISE
    if not calls.is_for_reports:
        suffix, posting = OF_OTHERS, []
    last = max(usage.ended_at for usage in usages)
    record = f"{call_list_record(last)}#{calls.posting.version:012d}{suffix}"
    item = {**credit_key(organization_id, record), "calls": _compressed(usages, posting)}
    if dial_outs := sum(usage.leg_type is LegType.DIAL_OUT for usage in usages):
        item[DIAL_OUTS] = {"N": str(dial_outs)}
    if calls.entry is not None:
        item["entry"] = _CHARGE.write(calls.entry)
    return item


def call_list_record(ended_at: datetime) -> str:
    """Name a list of calls by its last so that text sorts as time does."""
    return f"{CALLS}{sortable(ended_at)}"


def revision_item(organization_id: str, revision: Revision) -> Item:
    """Write calls as they were, and behind these all of them as they are."""
    before, after = zip(*revision.usages, strict=True)
    last = max(usage.ended_at for usage in before)
    record = f"{revision_record(last)}#{revision.posting.version:012d}"
    written = _written_posting(revision.posting)
    return {**credit_key(organization_id, record), "calls": _compressed(before + after, written)}


def revision_record(ended_at: datetime) -> str:
    """Name a revision so that text sorts as time does."""
    return f"{REVISED}{sortable(ended_at)}"


def _written_posting(posting: Posting, *, has_entry: bool = False) -> list[int]:
    # `has_entry`: the list contains the entry itself.
    written = [posting.version, _micros(posting.posted_at)]
    if posting.entry_id is None or posting.entry_at is None or has_entry:
        return written
    return [*written, int(posting.entry_id), _micros(posting.entry_at)]


def _micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def _compressed(usages: Sequence[ListedUsage], posting: list[int]) -> Item:
    of: Any = ListedUsage._make(zip(*usages, strict=True))  # a column in each field's place
    first = min(of.ended_at)
    ended = [(at - first) // MICROSECOND for at in of.ended_at]
    lasted = [(to - at) // MICROSECOND for at, to in zip(of.answered_at, of.ended_at, strict=True)]
    unit = gcd(*ended, *lasted) or 1
    organizers, organizer = _places(of.organizer_id)
    leg_types, leg_type = _places(of.leg_type)
    calls = _Calls(
        organizers=organizers,
        leg_types=leg_types,
        first_end=_micros(first),
        unit=unit,
        call_ids=of.call_id,
        organizer=organizer,
        leg_type=leg_type,
        ended=[micros // unit for micros in ended],
        lasted=[micros // unit for micros in lasted],
        results=Raw(encode(_results(of, lasted, posting))),
    )
    return _written(calls)


def _written(calls: _Calls) -> Item:
    return {"B": zlib.compress(encode(calls), _LEVEL)}  # type: ignore[dict-item] # an attribute


def _results(of: Any, lasted: Iterable[int], posting: list[int]) -> _Results:  # noqa: ANN401 - columns
    prices, price = _places(zip(*of[_PRICE], strict=True))
    outcomes, outcome = _places(zip(of.outcome, of.reason, of.flags, strict=True))
    started, minutes = map(_started_seconds, lasted), map(_whole_minutes, of.connected_seconds)
    costs = map(_cost, (prices[place] for place in price), of.billed_seconds)
    retail_and_cost = zip(of.retail_micros, costs, strict=True)
    charges = zip(of.charge_micros, of.outcome, of.retail_micros, strict=True)
    return _Results(
        posting=posting,
        prices=prices,
        outcomes=outcomes,
        price=price,
        outcome=outcome,
        connected=list(map(sub, of.connected_seconds, started)),
        billed=list(map(sub, of.billed_seconds, minutes)),
        retail=[None if micros is None else micros - cost for micros, cost in retail_and_cost],
        charge=[micros - _usual_charge(*more) for micros, *more in charges],
        pool_minutes=of.pool_minutes,
    )


def _places(values: Iterable[T]) -> tuple[list[T], list[int]]:
    """Return the values that occur, and which of them each one is."""
    known: dict[T, int] = {}
    places = [known.setdefault(value, len(known)) for value in values]
    return list(known), places


def _started_seconds(micros: int) -> int:
    return -(-micros // MICROS_PER_SECOND)


def _whole_minutes(seconds: int) -> int:
    return -(-seconds // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE


def _cost(price: _Price, seconds: int) -> int:
    """Return what seconds mostly cost at a price: without its later steps."""
    _, _, rate, fee, _ = price
    return (rate or 0) * seconds // SECONDS_PER_MINUTE + (fee or 0)


def _usual_charge(outcome: Outcome, retail_micros: int | None) -> int:
    return retail_micros or 0 if outcome is Outcome.CHARGED else 0


# ── Read ─────────────────────────────────────────────────────────────────────────────────────


def call_list_of(item: Item) -> CallList:
    """Read what re-rating needs of a list."""
    calls = _calls_of(item)
    dial_out = [leg_type is LegType.DIAL_OUT for leg_type in calls.leg_types]
    columns = calls.call_ids, calls.organizer, calls.leg_type, calls.times
    return CallList(
        item["record"]["S"],
        tuple(
            ListedCall(call_id, calls.organizers[organizer], dial_out[leg_type], *times)
            for call_id, organizer, leg_type, times in zip(*columns, strict=True)
        ),
    )


def usage_list_of(item: Item) -> UsageList | None:
    """Read a list as reports do; None if they find its calls in another one."""
    calls = _calls_of(item)
    results = _read_results(calls.results)
    if not results.posting:
        return None
    entry = entry_in(item)
    posting = _posting_of(results)
    if entry is not None:
        posting = posting._replace(entry_id=entry.entry_id, entry_at=entry.at)
    return UsageList(item["record"]["S"], posting, _usages_of(calls, results), entry)


def revision_of(item: Item) -> Revision:
    """Read a revision."""
    calls = _calls_of(item)
    results = _read_results(calls.results)
    both = _usages_of(calls, results)
    number = len(both) // 2
    return Revision(_posting_of(results), tuple(map(RevisedUsage, both[:number], both[number:])))


def organizers_in(item: Item) -> Sequence[str]:
    """Return the organizers of the calls in a list or revision."""
    return _calls_of(item).organizers


def with_organizers(item: Item, names: Mapping[str, str]) -> Item:
    """Return a list or revision in which only the names of organizers are replaced."""
    calls = _calls_of(item)
    renamed = [names.get(organizer, organizer) for organizer in calls.organizers]
    return {**item, "calls": _written(calls._replace(organizers=renamed))}


def _calls_of(item: Item) -> _Calls:
    return _read_calls(zlib.decompress(item["calls"]["B"]))


def _posting_of(results: _Results) -> Posting:
    version, posted, *entry = results.posting
    posting = Posting(version, EPOCH + posted * MICROSECOND)
    if not entry:
        return posting
    number, at = entry
    return posting._replace(entry_id=entry_id(number), entry_at=EPOCH + at * MICROSECOND)


def _usages_of(calls: _Calls, results: _Results) -> tuple[ListedUsage, ...]:
    outcomes = [
        (outcome, None if reason is None else REASONS[reason], flags)
        for outcome, reason, flags in results.outcomes
    ]
    prices = [results.prices[place] for place in results.price]
    outcome, reason, flags = zip(*(outcomes[place] for place in results.outcome), strict=True)
    lasted = (time * calls.unit for time in calls.lasted)
    connected = list(map(add, results.connected, map(_started_seconds, lasted)))
    billed = list(map(add, results.billed, map(_whole_minutes, connected)))
    retail_and_cost = zip(results.retail, map(_cost, prices, billed), strict=True)
    retail = [None if more is None else more + cost for more, cost in retail_and_cost]
    return tuple(
        map(
            ListedUsage,
            calls.call_ids,
            [calls.organizers[place] for place in calls.organizer],
            [calls.leg_types[place] for place in calls.leg_type],
            *zip(*calls.times, strict=True),
            connected,
            billed,
            *zip(*prices, strict=True),
            outcome,
            reason,
            map(add, results.charge, map(_usual_charge, outcome, retail)),
            retail,
            results.pool_minutes,
            flags,
        )
    )
