"""An operator's records beside our calls: each kind of difference is found, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.comparison.difference_kinds import DifferenceKind
from perminute.domain.comparison.record_comparison import (
    REPORTED_WITHIN,
    Comparison,
    OperatorCharge,
    OurCall,
    TheirCall,
    are_alike,
    compare_records,
)
from perminute.domain.rating.calls import LegType
from perminute.domain.values.money import DECIMALS

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 11, 10, tzinfo=UTC)
REPORTED_BY = AT - REPORTED_WITHIN
NUMBERS = st.integers(10**7, 10**14).map("+{}".format)

COSTS = st.integers(0, 10**9)
ENDS = st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 7), timezones=st.just(UTC))  # noqa: DTZ001 - bounds of aware ones


@st.composite
def theirs(draw: Any) -> TheirCall:
    return TheirCall(
        at="file:1",
        organization_id=draw(st.sampled_from(["contoso", "fabrikam"])),
        call_id=draw(st.text(min_size=1, max_size=5)),
        organizer_id=draw(st.sampled_from(["adele", "bob"])),
        leg_type=draw(st.sampled_from([LegType.TOLL_DIAL_IN, LegType.DIAL_OUT])),
        service_number=draw(NUMBERS),
        remote_number=draw(NUMBERS),
        ended_at=draw(ENDS),
        is_answered=True,
        seconds=draw(st.integers(0, 86_400)),
        charge=OperatorCharge(draw(COSTS), DECIMALS, "USD"),
    )


def ours_of(their: TheirCall, **changed: Any) -> OurCall:
    """The same call as we have it."""
    assert their.charge
    return OurCall(
        organization_id=their.organization_id,
        call_id=their.call_id,
        organizer_id=their.organizer_id,
        leg_type=their.leg_type,
        service_number=their.service_number,
        remote_number=their.remote_number,
        ended_at=their.ended_at,
        seconds=their.seconds,
        cost_micros=their.charge.micros,
        currency="USD",
    )._replace(**changed)


SETS = st.lists(theirs(), unique_by=lambda call: (call.organization_id, call.call_id), max_size=5)


def compared(their: list[TheirCall], our: list[OurCall]) -> Comparison:
    return compare_records(their, our, reported_by=REPORTED_BY)


@given(SETS)
def test_a_set_does_not_differ_from_itself(calls: list[TheirCall]) -> None:
    found = compared(calls, [ours_of(call) for call in calls])
    assert found == Comparison((), len(calls), 0, 0)


CHANGES: dict[DifferenceKind, Callable[[Any], dict[str, Any]]] = {
    DifferenceKind.SECONDS: lambda call: {"seconds": call.seconds + 1},
    DifferenceKind.ORGANIZER: lambda _: {"organizer_id": "cleo"},
    DifferenceKind.COST: lambda call: {"cost_micros": call.cost_micros + 1},
    DifferenceKind.NUMBER: lambda call: {"service_number": f"{call.service_number}0"},
}


@given(SETS.filter(len), st.data(), st.sampled_from(list(CHANGES)))
def test_one_field_that_is_changed_is_one_difference_of_its_kind(
    calls: list[TheirCall], data: Any, kind: DifferenceKind
) -> None:
    our = [ours_of(call) for call in calls]
    place = data.draw(st.integers(0, len(our) - 1))
    our[place] = our[place]._replace(**CHANGES[kind](our[place]))
    (found,) = compared(calls, our).differences
    assert (found.kind, found.organization_id, found.call_id) == (kind, *our[place][:2])
    assert compared(calls, our).equal == len(calls) - 1


@given(SETS.filter(len), st.data())
def test_a_call_that_only_one_side_has_is_found_on_that_side(
    calls: list[TheirCall], data: Any
) -> None:
    place = data.draw(st.integers(0, len(calls) - 1))
    our = [ours_of(call) for call in calls]
    lost, missing = calls[place], our[place]
    (only_there,) = compared(calls, our[:place] + our[place + 1 :]).differences
    assert (only_there.kind, only_there.call_id) == (DifferenceKind.ONLY_THERE, lost.call_id)
    (only_here,) = compared(calls[:place] + calls[place + 1 :], our).differences
    assert (only_here.kind, only_here.call_id) == (DifferenceKind.ONLY_HERE, missing.call_id)
    known = compare_records(
        calls[:place] + calls[place + 1 :],
        our,
        reported_by=REPORTED_BY,
        also_there={missing.call_id},
    )
    assert missing.call_id not in {one.call_id for one in known.differences}


@given(SETS, SETS, COSTS)
def test_sums_add_up(there: list[TheirCall], others: list[TheirCall], cost: int) -> None:
    """What we have more of, by kind, is all that we have less all that the operator has."""
    changed = OperatorCharge(cost, DECIMALS, "USD")
    here = [call._replace(charge=changed, seconds=cost % 7) for call in there[::2]]
    here += [call for call in others if call[1:3] not in {one[1:3] for one in there}]
    our = [ours_of(call) for call in here]
    found = compared(there, our)
    sums = found.sums()
    assert sum(one.calls for one in sums.values()) == len(found.differences)
    seconds = sum(call.seconds for call in here) - sum(call.seconds for call in there)
    assert sum(one.seconds for one in sums.values()) == seconds
    micros = sum((c.charge.micros if c.charge else 0) for c in here)
    micros -= sum((c.charge.micros if c.charge else 0) for c in there)
    assert sum(more for one in sums.values() for _, more in one.costs_micros) == micros


@given(NUMBERS, st.integers(0, 4))
def test_a_masked_tail_may_be_any_digits(number: str, masked: int) -> None:
    shown = number[: len(number) - masked] + "*" * masked
    assert are_alike(number, shown)
    assert are_alike(shown, number)
    assert not are_alike(f"{number}0", shown)
    first = "+2" if number[1] != "2" else "+3"
    assert not are_alike(first + number[2:], shown)


@given(st.integers(0, 10**9), st.integers(2, DECIMALS))
def test_a_cost_agrees_with_all_that_is_rounded_to_it_and_with_nothing_else(
    micros: int, decimals: int
) -> None:
    unit = 10 ** (DECIMALS - decimals)
    rounded = (2 * micros + unit) // (2 * unit) * unit
    charge = OperatorCharge(rounded, decimals, "USD")
    assert charge.agrees(micros)
    assert not charge.agrees(rounded + unit // 2 + 1)
    assert not charge.agrees(rounded - unit // 2 - 1)


@given(st.integers(0, 3600))
def test_seconds_agree_with_the_blocks_in_which_they_were_billed(seconds: int) -> None:
    their = TheirCall(
        "f:1", "o", "c", "a", LegType.DIAL_OUT, None, "+12065550100", AT, is_answered=True,
        seconds=seconds,
    )  # fmt: skip
    billed = -(-seconds // 60) * 60
    for blocks, kinds in ((billed, []), (billed + 60, [DifferenceKind.SECONDS])):
        our = OurCall("o", "c", billed_seconds=blocks)
        found = [] if blocks == 0 else kinds
        assert [one.kind for one in compared([their], [our]).differences] == found


@given(theirs(), st.integers(1, 10**6))
def test_a_call_that_may_still_be_reported_is_counted_apart(call: TheirCall, late: int) -> None:
    ended = REPORTED_BY + timedelta(microseconds=late)
    assert compared([], [ours_of(call, ended_at=ended)]) == Comparison((), 0, 1, 0)
    (found,) = compared([], [ours_of(call, ended_at=REPORTED_BY)]).differences
    assert found.kind is DifferenceKind.ONLY_HERE


@given(theirs(), st.sampled_from([{"currency": "EUR"}, {"cost_micros": None}]))
def test_costs_that_cannot_be_compared_are_counted_apart(
    call: TheirCall, changed: dict[str, Any]
) -> None:
    call = call._replace(charge=OperatorCharge(1_000_000, DECIMALS, "USD"))
    our = ours_of(call, **{"cost_micros": 2_000_000, **changed})
    assert compared([call], [our]) == Comparison((), 1, 0, 1)
