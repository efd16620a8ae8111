"""One world: a seed and what may go wrong, from its plan to its outcome."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING
from unittest.mock import patch

from perminute.application import ingest_records, send_digests, spend_counters
from perminute.domain.notifications import digests
from perminute.events import calls_ended
from perminute.observability import logger
from perminute_local.simulation.backends.records import SimulatedRecords
from perminute_local.simulation.backends.twins import Twins
from perminute_local.simulation.faults import ALL_FAULTS, Fault, FaultInjector, FaultRates, rng_of
from perminute_local.simulation.plan import CALLS_PER_PART, Plan, Quiesce
from perminute_local.simulation.simulator import Outcome, Simulator
from perminute_local.simulation.workloads.calls_together import CallsTogether
from perminute_local.simulation.workloads.erasure import ErasedOrganizations
from perminute_local.simulation.workloads.events import BEGINNINGS
from perminute_local.simulation.workloads.late_changes import DirectorySync, NewLimits
from perminute_local.simulation.workloads.masking import MaskedOrganizations
from perminute_local.simulation.workloads.organizations import Organizations
from perminute_local.simulation.workloads.readers import Readers
from perminute_local.simulation.workloads.records import Records
from perminute_local.simulation.workloads.same_second import SameSecond
from perminute_local.simulation.workloads.tight_credit import TightCredit
from perminute_local.simulation.write_recorder import WriteRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.simulation.backends.backend import Backend
    from perminute_local.simulation.workloads.workload import Workload
    from perminute_local.stack import Template

EVENTS = 300
"""Events and calls of a world, unless another number is asked for."""
_MAX_CALLS_NAMED = 10_000
"""Calls that a digest names: all, so that each is known to be in it."""
_PART_BYTES = 1_200
"""How large a part of a file of call records is: few records, so that files have parts."""


class Over(StrEnum):
    """What the functions run over."""

    TWINS = "twins"
    MOTO = "moto"
    ADVERSE = "adverse"
    """moto, with answers in pages, in part, in any order and stale, as DynamoDB may give them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What determines a run: the same world always has the same history."""

    seed: int
    events: int = EVENTS
    faults: frozenset[Fault] = ALL_FAULTS
    over: Over = Over.TWINS
    items: tuple[int, ...] | None = None
    """The numbers of the items of the plan that happen; None, all do."""

    def plan(self) -> Plan:
        """Return everything that happens; which of it is left out changes nothing about it."""
        return _plan(replace(self, items=None))


@lru_cache(maxsize=1)  # a failing world is run hundreds of times, each with fewer items
def _plan(world: World) -> Plan:
    plan = _plan_of_organizations(world)
    workloads: list[type[Workload]] = [TightCredit, SameSecond, DirectorySync, CallsTogether]
    if world.over is Over.TWINS:
        # What is counted and read is the same over any store; worlds over moto are slow and stay
        # small.
        workloads += [NewLimits, Records]
    workloads += [Readers, MaskedOrganizations, ErasedOrganizations]
    for workload in workloads:
        plan = workload(plan.seed, plan.items[0].at).woven_into(plan)
    return plan


def _plan_of_organizations(world: World) -> Plan:
    rng = rng_of(world.seed, "plan")
    workload = Organizations(
        world.seed,
        rng.choice(BEGINNINGS),
        fault_rates=FaultRates.of(world.seed, world.faults),
        rng=rng,
    )
    card = workload.cards.csv(), "card-0"
    workload.begin()
    while workload.happened < world.events:
        workload.step()
    workload.add(Quiesce())
    return Plan(
        seed=world.seed,
        card=card,
        organizations=tuple(organization.name for organization in workload.all),
        authorizing=frozenset(one.name for one in workload.all if one.authorizes),
        items=tuple(workload.items),
    )


def simulate(world: World, template: Template, fault_rates: FaultRates | None = None) -> Outcome:
    """Run a world until its end, or until an invariant breaks; perhaps with other fault rates."""
    plan, recorder = world.plan(), WriteRecorder()
    injector = FaultInjector(fault_rates or FaultRates.of(world.seed, world.faults))
    items = plan.items if world.items is None else tuple(plan.only(world.items))
    records = SimulatedRecords(plan.directory, recorder)
    with (
        _silent_logs(),
        recorder.redeliveries.watching(),
        # What counts for limits, and digests, take several pieces, between which things happen.
        patch.multiple(spend_counters, MAX_LISTS=2, CALLS_AT_ONCE=3, MAX_CORRECTIONS=1),
        patch.multiple(
            send_digests, MAX_RECORDS_COUNTED=3, MAX_CALLS_COUNTED=4, DIGESTS_SENT_AT_ONCE=2
        ),
        patch.object(digests, "MAX_CALLS_NAMED", _MAX_CALLS_NAMED),
        patch.object(calls_ended, "CALLS_PER_BATCH", CALLS_PER_PART),
        patch.object(ingest_records, "PART_BYTES", _PART_BYTES),
        _backend(world.over, template, plan, injector, recorder, records) as backend,
    ):
        return Simulator(plan, backend, injector, recorder, records).run(items)


@contextmanager
def _backend(  # noqa: PLR0913, PLR0917 - all that a world has
    over: Over,
    template: Template,
    plan: Plan,
    injector: FaultInjector,
    recorder: WriteRecorder,
    records: SimulatedRecords,
) -> Iterator[Backend]:
    if over is Over.TWINS:
        yield Twins(template, plan.card, injector, recorder, records)
        return
    # Imported where it is needed: the twins want no AWS, and moto takes a second to start.
    from perminute_local.simulation.backends.moto import over_moto  # noqa: PLC0415

    is_adverse = over is Over.ADVERSE
    with over_moto(template, plan.card, injector, recorder, is_adverse=is_adverse) as backend:
        yield backend


@contextmanager
def _silent_logs() -> Iterator[None]:
    level = logger.log_level
    logger.setLevel("CRITICAL")
    try:
        yield
    finally:
        logger.setLevel(level)
