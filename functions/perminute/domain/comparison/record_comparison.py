"""Compare an operator's records of calls with the calls that we have charged.

An operator's report is late by a day or two, so a call of ours without a record is a difference
only after `REPORTED_WITHIN`. Nothing is corrected: each difference names its call, for a person to
look at (docs/comparing-records.md).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.comparison.difference_kinds import DifferenceKind
from perminute.domain.rating.calls import LegType
from perminute.domain.reference.directory import SOURCE_FAMILIES, EntryKind
from perminute.domain.reference.phone_numbers import MASK
from perminute.domain.values.money import DECIMALS, format_micros

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reference.directory import Directory

REPORTED_WITHIN = timedelta(hours=48)
"""Within which operators report a call. Microsoft's report of PSTN usage lags 24 to 48 hours
(learn.microsoft.com/microsoftteams/teams-analytics-and-reports/pstn-usage-report)."""

_LONGEST_BLOCK_SECONDS = 60  # in which calls are billed; longer ones are not in use


class OperatorCharge(NamedTuple):
    """What an operator says that a call cost."""

    micros: int
    # How many are stated: half of the last one may be rounding.
    decimals: int = DECIMALS
    currency: str | None = None  # None: the report names none

    def __str__(self) -> str:
        """Write the amount and its currency."""
        return _amount(self.micros, self.currency)

    def agrees(self, cost_micros: int) -> bool:
        """Whether a cost may have been rounded to this amount."""
        last_digit_micros: int = 10 ** (DECIMALS - self.decimals)
        return 2 * abs(self.micros - cost_micros) <= last_digit_micros


class TheirCall(NamedTuple):
    """A call as an operator's record and the directory state it."""

    at: str  # the file and the place of the record in it
    organization_id: str
    call_id: str
    organizer_id: str
    leg_type: LegType
    service_number: str | None
    remote_number: str | None
    ended_at: datetime
    is_answered: bool
    seconds: int
    charge: OperatorCharge | None = None


class OurCall(NamedTuple):
    """A call as we have it; what is None is not known, and not compared."""

    organization_id: str
    call_id: str
    organizer_id: str | None = None
    leg_type: LegType | None = None
    service_number: str | None = None
    remote_number: str | None = None
    prefix: str | None = None  # the digits by which the number was priced
    ended_at: datetime | None = None
    seconds: int | None = None
    billed_seconds: int | None = None  # in full blocks
    cost_micros: int | None = None
    currency: str | None = None

    @classmethod
    def of_call(cls, call: Call) -> OurCall:
        """Return a call of which no cost is known."""
        return cls(
            organization_id=call.organization_id,
            call_id=call.call_id,
            organizer_id=call.organizer_id,
            leg_type=call.leg_type,
            service_number=call.service_number,
            remote_number=call.remote_number,
            ended_at=call.ended_at,
            seconds=call.connected_seconds,
        )

    @classmethod
    def of(cls, usage: Usage, *, by_rate_card: bool) -> OurCall:
        """Return a recorded call, with what credit paid or what it costs by the rate card."""
        price = usage.price
        return cls.of_call(usage.call)._replace(
            cost_micros=price.retail_micros if by_rate_card else usage.charge_micros,
            currency=price.currency,
        )


class Difference(NamedTuple):
    """One thing in which a record and a call differ."""

    kind: DifferenceKind
    organization_id: str
    call_id: str
    at: str | None  # the place of the record, if there is one
    theirs: str | None
    ours: str | None
    # What we have more of than the operator; negative: less.
    seconds: int = 0
    cost_micros: int = 0
    currency: str | None = None


class KindSum(NamedTuple):
    """The differences of one kind: how many, and what we have more of; negative: less."""

    calls: int = 0
    seconds: int = 0
    costs_micros: tuple[tuple[str, int], ...] = ()  # by currency; empty if none is named

    def with_difference(self, difference: Difference) -> KindSum:
        """Add a difference."""
        costs = dict(self.costs_micros)
        if difference.cost_micros:
            currency = difference.currency or ""
            costs[currency] = costs.get(currency, 0) + difference.cost_micros
        return KindSum(
            self.calls + 1, self.seconds + difference.seconds, tuple(sorted(costs.items()))
        )


class Comparison(NamedTuple):
    """What a comparison has found; the counts are numbers of calls."""

    differences: Sequence[Difference]
    equal: int  # in all that is known of both
    too_recent: int  # only here, and may still be reported
    costs_not_compared: int  # in both, where one side names no cost, or another currency

    def sums(self) -> dict[DifferenceKind, KindSum]:
        """Add the differences up by their kinds, each of which is in it."""
        sums = dict.fromkeys(DifferenceKind, KindSum())
        for difference in self.differences:
            sums[difference.kind] = sums[difference.kind].with_difference(difference)
        return sums


def compare_records(
    theirs: Iterable[TheirCall],
    ours: Iterable[OurCall],
    *,
    reported_by: datetime,
    also_there: Collection[str] = (),
) -> Comparison:
    """Compare all records with all calls, each of which is there once.

    A call of ours that ended after `reported_by` need not have a record yet; one whose end is not
    known must have one. Calls `also_there` have records that cannot be compared.
    """
    left = {(call.organization_id, call.call_id): call for call in ours}
    differences: list[Difference] = []
    equal = not_compared = too_recent = 0
    for their in theirs:
        our = left.pop((their.organization_id, their.call_id), None)
        found = [_only_there(their)] if our is None else list(_differences(their, our))
        differences += found
        equal += not found
        not_compared += our is not None and not _has_comparable_cost(their, our)
    for our in left.values():
        if our.call_id in also_there:
            continue
        if our.ended_at is None or our.ended_at <= reported_by:
            differences.append(_only_here(our))
        else:
            too_recent += 1
    return Comparison(tuple(differences), equal, too_recent, not_compared)


def numbers_of_others(directory: Directory, source: str) -> frozenset[str]:
    """Return the service numbers that the directory gives to other sources only.

    Calls to them are in no records of this source. A number that it does not know may be of any: a
    call is rather looked for in vain than left out.
    """
    names = {source, SOURCE_FAMILIES[source], None}
    numbers = [entry for entry in directory.entries if entry.kind is EntryKind.NUMBER]
    ours = {entry.key for entry in numbers if entry.source in names}
    return frozenset(entry.key for entry in numbers) - ours


def _differences(their: TheirCall, our: OurCall) -> Iterator[Difference]:
    subject = their.organization_id, their.call_id, their.at
    if not _have_same_seconds(their.seconds, our):
        ours = our.billed_seconds if our.seconds is None else our.seconds
        more = (ours or 0) - their.seconds
        yield Difference(
            DifferenceKind.SECONDS, *subject, str(their.seconds), str(ours), seconds=more
        )
    numbers = next(_different_numbers(their, our), None)
    if numbers is not None:
        yield Difference(DifferenceKind.NUMBER, *subject, *numbers)
    if our.organizer_id is not None and our.organizer_id != their.organizer_id:
        yield Difference(DifferenceKind.ORGANIZER, *subject, their.organizer_id, our.organizer_id)
    if _has_comparable_cost(their, our) and not _have_same_cost(their, our):
        yield _other_cost(their, our)


def _have_same_seconds(seconds: int, our: OurCall) -> bool:
    if our.seconds is not None:
        return our.seconds == seconds
    # Of a call that nobody pays, no block is billed.
    if not our.billed_seconds:
        return True
    return 0 <= our.billed_seconds - seconds < _LONGEST_BLOCK_SECONDS


def _different_numbers(their: TheirCall, our: OurCall) -> Iterator[tuple[str, str]]:
    is_dial_out = their.leg_type is LegType.DIAL_OUT
    rated = their.remote_number if is_dial_out else their.service_number
    if our.prefix and rated and not are_alike(rated[: len(our.prefix) + 1], f"+{our.prefix}"):
        yield rated, f"+{our.prefix}…"
    for theirs, ours in (
        (their.service_number, our.service_number),
        (their.remote_number, our.remote_number),
    ):
        # A number that one of them withholds may be any.
        if theirs and ours and not are_alike(theirs, ours):
            yield theirs, ours


def are_alike(one: str, other: str) -> bool:
    """Whether two numbers may be the same one: a masked digit may be any."""
    return len(one) == len(other) and all(
        a == b or MASK in (a, b) for a, b in zip(one, other, strict=True)
    )


def _has_comparable_cost(their: TheirCall, our: OurCall) -> bool:
    if their.charge is None or our.cost_micros is None:
        return False
    # The currency of a call that cost nothing says nothing.
    either_is_nothing = not (their.charge.micros and our.cost_micros)
    currencies = {their.charge.currency, our.currency} - {None}
    return either_is_nothing or len(currencies) <= 1


def _have_same_cost(their: TheirCall, our: OurCall) -> bool:
    return their.charge is None or their.charge.agrees(our.cost_micros or 0)


def _other_cost(their: TheirCall, our: OurCall) -> Difference:
    their_micros = their.charge.micros if their.charge else 0
    cost_micros = our.cost_micros or 0
    currency = (their.charge and their.charge.currency) or our.currency
    return Difference(
        DifferenceKind.COST,
        their.organization_id,
        their.call_id,
        their.at,
        str(their.charge),
        _amount(cost_micros, our.currency or currency),
        cost_micros=cost_micros - their_micros,
        currency=currency,
    )


def _only_there(their: TheirCall) -> Difference:
    return Difference(
        DifferenceKind.ONLY_THERE,
        their.organization_id,
        their.call_id,
        their.at,
        f"{their.seconds} s",
        None,
        seconds=-their.seconds,
        cost_micros=-their.charge.micros if their.charge else 0,
        currency=their.charge.currency if their.charge else None,
    )


def _only_here(our: OurCall) -> Difference:
    seconds = our.seconds if our.seconds is not None else our.billed_seconds
    return Difference(
        DifferenceKind.ONLY_HERE,
        our.organization_id,
        our.call_id,
        None,
        None,
        None if seconds is None else f"{seconds} s",
        seconds=seconds or 0,
        cost_micros=our.cost_micros or 0,
        currency=our.currency,
    )


def _amount(micros: int, currency: str | None) -> str:
    return f"{format_micros(micros)} {currency or ''}".rstrip()
