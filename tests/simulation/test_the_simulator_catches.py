"""Bugs are put back, and worlds break: what finds nothing may simply not look."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

import planted_adapter_bugs
import planted_digest_bugs
import planted_event_bugs
import pytest
from planted_adapter_bugs import ADAPTER_BUGS
from planted_bugs import (
    BUGS,
    adding_again_where_a_reading_stopped,
    adjusting_before_any_currency,
    asking_for_no_next_step,
    authorizing_by_the_digits_shown,
    believing_any_instant,
    booking_by_senders_clocks,
    chargebacks_by_other_lots,
    charging_by_the_card_in_force,
    charging_in_any_currency,
    charging_reports_and_ends,
    corrected_by_the_card_of_the_call,
    corrected_without_settling,
    correcting_past_the_limits,
    counting_calls_before_credit,
    counting_what_was_added_already,
    cutting_before_the_difference,
    facts_of_one_instant_by_identity,
    failing_closed_always,
    folding_within_the_horizon,
    forgetting_who_sends,
    freeing_what_no_answer_proves,
    going_on_by_the_card_in_force,
    granting_as_much_as_is_wanted,
    granting_to_the_last_second,
    issued_when_sent,
    keeping_change_ids_as_event_ids,
    knowing_changes_by_their_event_ids,
    losing_further_lots,
    minutes_used_before_drawn_again,
    moving_the_checkpoint_over_a_difference,
    never_charging_reports,
    pricing_masked_numbers_for_certain,
    publishing_before_the_commit,
    reading_first_items_only,
    reading_the_last_list_again,
    rearmed_on_every_call,
    refusing_who_withholds_a_number,
    repeating_what_has_lapsed,
    repeats_word_for_word,
    repricing_in_whole_minutes,
    settings_by_arrival,
    settings_of_one_instant_by_identity,
    settling_the_first_calls_only,
    settling_without_those_who_drew,
    showing_reasons_as_they_are_sent,
    skipping_an_organization_between_pages,
    skipping_corrections,
    spelling_users_as_requests_do,
    stating_no_price_in_another_currency,
    taking_all_since_a_checkpoint_for_right,
    taking_any_report,
    telling_what_may_change,
    tracing_calls_to_the_last_of_their_batch,
    trusting_all_clocks,
    unlisted_once_reported,
    with_a_new_recharge_id_after_a_day,
    with_plain_add,
    without_a_horizon,
    without_a_limit_of_recharges_a_day,
    without_does_not_exist,
    without_late_lots,
    without_the_last_report,
    without_version,
)
from planted_digest_bugs import DIGEST_BUGS
from planted_event_bugs import EVENT_BUGS

from perminute_local import simulation
from perminute_local.simulation.answers import CREDIT_FIRST, LONGEST, SETTING
from perminute_local.simulation.bridges import LAPSED, WITHIN_GRANT
from perminute_local.simulation.currencies import OWN_CURRENCY, RETAIL
from perminute_local.simulation.faults import ALL_FAULTS, ONE, Fault, Weather
from perminute_local.simulation.invariants import ALL_DIGITS
from perminute_local.simulation.lots import CHARGEBACK, LATE_CALL
from perminute_local.simulation.masked import DEAREST, UNCERTAIN
from perminute_local.simulation.nights import CHECKED, FOUND, PROVEN, WHOLE
from perminute_local.simulation.producers import PRODUCER
from perminute_local.simulation.restarts import KNOWN, LISTED
from perminute_local.simulation.same_second import CAUTIOUS, ONCE, TAKEN
from perminute_local.simulation.scenarios import Over, World, simulate
from perminute_local.simulation.slips import REFUSED
from perminute_local.simulation.traces import TRACED
from perminute_local.simulation.write_recorder import OUR_CLOCK, OWN_CARD, READABLE, WOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

    from perminute_local.stack import Template

BOOKS = "balance = ledger = lots less debt"
RESERVED = "reserved = open reservations"
COVERED = "who asks first never falls below zero"
CORRECTED = "a correction reaches all calls of its time"
CROSSINGS = "one id for each crossing"
SETTLED = "everything settles"
"""What must not exist does, so another condition fails again and again."""
PROVISIONAL = "nothing is told of a balance that may change"
POOLS = "the pool's minutes go by the order of the calls"
PUBLISHED = "only what was committed is told"
REPORTED = "what nobody ended costs what was reported"
ONE_RECHARGE = "one recharge id for one crossing"
ONE_USER = "a user is the same user at both doors"
ANSWERED = "what is right is answered"
ONE_ANSWER = "one request has one answer"
COUNTED = "limits count what calls cost"
FACTS = "no fact is lost"
WRONG = "what is wrong is refused"
CURRENCY = "all that is booked has a currency"
RULES = "each call costs what the rules say"
DAY_LIMIT = "at most ten recharges are requested a day"

SEEDS = range(12)
EVENTS = 100
MORE_EVENTS: dict[Callable[[], AbstractContextManager[None]], int] = {
    corrected_without_settling: 150
}
"""Worlds in which a wrong card is corrected are few, and pools matter in few of these."""


def broken_promises(
    template: Template, faults: frozenset[Fault] = ALL_FAULTS, events: int = EVENTS
) -> Iterator[str]:
    """Yield what is broken in one world after the other: who has seen enough stops there."""
    for seed in SEEDS:
        broken = simulate(World(seed=seed, events=events, faults=faults), template).broken
        if broken is not None:
            yield broken.promise


@pytest.mark.planted
@pytest.mark.parametrize(
    ("bug", "promises"),
    [
        (without_does_not_exist, {BOOKS, CROSSINGS}),
        (with_plain_add, {BOOKS, RESERVED}),
        (publishing_before_the_commit, {PUBLISHED}),
        (without_version, {BOOKS, RESERVED}),
        (rearmed_on_every_call, {CROSSINGS}),
        (without_late_lots, {LATE_CALL}),
        (forgetting_who_sends, {PRODUCER}),
        (chargebacks_by_other_lots, {CHARGEBACK}),
        (losing_further_lots, {BOOKS, SETTLED}),
        (never_charging_reports, {REPORTED}),
        (charging_reports_and_ends, {BOOKS}),
        (with_a_new_recharge_id_after_a_day, {ONE_RECHARGE}),
        (without_a_limit_of_recharges_a_day, {DAY_LIMIT}),
        (telling_what_may_change, {PROVISIONAL}),
        (minutes_used_before_drawn_again, {POOLS}),
        (corrected_by_the_card_of_the_call, {CORRECTED}),
        (corrected_without_settling, {POOLS, BOOKS}),
        (settling_without_those_who_drew, {POOLS}),
        (spelling_users_as_requests_do, {ONE_USER}),
        (refusing_who_withholds_a_number, {ANSWERED}),
        (without_the_last_report, {KNOWN}),
        (unlisted_once_reported, {LISTED}),
        (granting_to_the_last_second, {WITHIN_GRANT}),
        (taking_any_report, {REFUSED}),
        (repeats_word_for_word, {ONE_ANSWER}),
        (granting_as_much_as_is_wanted, {LONGEST}),
        (failing_closed_always, {SETTING}),
        (freeing_what_no_answer_proves, {COVERED}),
        (counting_calls_before_credit, {CREDIT_FIRST}),
        (trusting_all_clocks, {COVERED}),
        (going_on_by_the_card_in_force, {OWN_CARD}),
        (charging_by_the_card_in_force, {OWN_CARD}),
        (repeating_what_has_lapsed, {LAPSED}),
        (adjusting_before_any_currency, {CURRENCY}),
        (stating_no_price_in_another_currency, {RETAIL}),
        (charging_in_any_currency, {OWN_CURRENCY}),
        (repricing_in_whole_minutes, {RULES}),
        (pricing_masked_numbers_for_certain, {UNCERTAIN}),
        (authorizing_by_the_digits_shown, {DEAREST}),
        (believing_any_instant, {WRONG}),
        (booking_by_senders_clocks, {OUR_CLOCK}),
        (correcting_past_the_limits, {COUNTED}),
        (skipping_corrections, {COUNTED}),
        (reading_the_last_list_again, {COUNTED}),
        (counting_what_was_added_already, {COUNTED}),
        (facts_of_one_instant_by_identity, {CAUTIOUS}),
        (settings_of_one_instant_by_identity, {CAUTIOUS}),
        (settings_by_arrival, {CAUTIOUS}),
        (issued_when_sent, {CAUTIOUS}),
        (knowing_changes_by_their_event_ids, {ONCE}),
        (keeping_change_ids_as_event_ids, {TAKEN}),
        (cutting_before_the_difference, {ALL_DIGITS}),
        (skipping_an_organization_between_pages, {CHECKED}),
        (adding_again_where_a_reading_stopped, {WHOLE}),
        (moving_the_checkpoint_over_a_difference, {PROVEN}),
        (taking_all_since_a_checkpoint_for_right, {FOUND}),
        (reading_first_items_only, {RULES}),
        (folding_within_the_horizon, {FACTS}),
        (without_a_horizon, {WRONG}),
        (asking_for_no_next_step, {WOKEN}),
        (settling_the_first_calls_only, {POOLS, RULES}),
        (tracing_calls_to_the_last_of_their_batch, {TRACED}),
        (showing_reasons_as_they_are_sent, {READABLE}),
    ],
)
def test_a_bug_breaks_worlds(
    template: Template,
    bug: Callable[[], AbstractContextManager[None]],
    promises: set[str],
) -> None:
    found = []
    with bug():
        for promise in broken_promises(template, events=MORE_EVENTS.get(bug, EVENTS)):
            if promise in promises:
                return
            found.append(promise)
    pytest.fail(f"in {len(found)} worlds was found {set(found)}")


@pytest.mark.planted
@pytest.mark.parametrize(("bug", "seed"), [(without_does_not_exist, 12), (without_version, 18)])
def test_a_condition_that_dynamodb_is_not_told_breaks_a_world_over_moto(
    template: Template, bug: Callable[[], AbstractContextManager[None]], seed: int
) -> None:
    """In a world in which functions do hardly anything but overtake each other, twice."""
    world = World(seed=seed, events=12, over=Over.MOTO)
    weather = Weather({Fault.OVERTAKE: ONE // 2, Fault.DUPLICATE: ONE // 5})
    assert simulate(world, template, weather).broken is None
    with bug():
        broken = simulate(world, template, weather).broken
    assert broken is not None
    # A call that is charged twice may take more than it had reserved before the books are read.
    # One that nobody pays for moves nothing, and is notified of twice.
    # Settings that were written over are those of somebody who was not told so.
    assert broken.promise in {BOOKS, RESERVED, COVERED, SETTLED, CROSSINGS, CAUTIOUS}


@pytest.mark.planted
def test_without_bugs_the_same_worlds_hold(template: Template) -> None:
    assert [*broken_promises(template)] == []


@pytest.mark.planted
def test_it_takes_faults_to_find_that_a_version_is_missing(template: Template) -> None:
    """Nothing goes wrong by itself: what finds this bug is that functions overtake each other."""
    with without_version():
        assert [*broken_promises(template, ALL_FAULTS - {Fault.OVERTAKE})] == []


@pytest.mark.planted
@pytest.mark.parametrize("bug", DIGEST_BUGS)
def test_a_bug_in_what_is_notified_of_once_a_day_breaks_its_promise(
    template: Template, bug: Callable[[], AbstractContextManager[None]]
) -> None:
    with bug():
        assert DIGEST_BUGS[bug] in broken_promises(template)


@pytest.mark.planted
@pytest.mark.parametrize("bug", EVENT_BUGS)
def test_a_bug_in_what_becomes_of_events_breaks_its_promise(
    template: Template, bug: Callable[[], AbstractContextManager[None]]
) -> None:
    with bug():
        assert EVENT_BUGS[bug] in broken_promises(template)


BROKEN_BY_NONE = {
    # A store has one place for an identity: as long as it says what lies there, two contents
    # cannot both be found. It would take two bugs, one of which hides that the other is there.
    "one identity has one content",
}


def test_each_promise_is_broken_by_a_bug() -> None:
    """What no bug breaks may be a promise that nothing looks at."""
    broken = {*EVENT_BUGS.values(), *ADAPTER_BUGS.values(), *DIGEST_BUGS.values()}
    for _, promises in caught():
        broken |= promises
    assert promised() - broken == BROKEN_BY_NONE
    assert broken <= promised()


def test_each_bug_that_is_planted_is_looked_for() -> None:
    assert {bug for bug, _ in caught()} == set(BUGS)
    assert set(bugs_in(planted_event_bugs)) == set(EVENT_BUGS)
    assert set(bugs_in(planted_adapter_bugs)) == set(ADAPTER_BUGS)
    assert set(bugs_in(planted_digest_bugs)) == set(DIGEST_BUGS)
    assert len({*BUGS, *EVENT_BUGS, *ADAPTER_BUGS}) >= 30


def caught() -> list[tuple[Callable[[], AbstractContextManager[None]], set[str]]]:
    """Return the bugs of the domain, and the promises that they may break."""
    marks: list[pytest.Mark] = vars(test_a_bug_breaks_worlds)["pytestmark"]
    found: list[tuple[Callable[[], AbstractContextManager[None]], set[str]]]
    (found,) = [mark.args[1] for mark in marks if mark.name == "parametrize"]
    return found


def bugs_in(module: ModuleType) -> Iterator[object]:
    for name, one in inspect.getmembers(module, inspect.isfunction):
        if not name.startswith("_") and one.__module__ == module.__name__:
            yield one


def promised() -> set[str]:
    """Find the promises of the simulator: what `Broken` is made with, as text or by a name."""
    found: set[str] = set()
    for info in pkgutil.iter_modules(simulation.__path__):
        module = import_module(f"{simulation.__name__}.{info.name}")
        for call in ast.walk(ast.parse(inspect.getsource(module))):
            match call:
                case ast.Call(func=ast.Name("Broken"), args=[ast.Constant(str() as text), *_]):
                    found.add(text)
                case _:
                    pass
        # Promises that have a name are sentences; no other public constant is one.
        names = (name for name in vars(module) if name.isupper() and not name.startswith("_"))
        texts = (vars(module)[name] for name in names)
        found |= {text for text in texts if isinstance(text, str) and " " in text}
    return found
