"""Whatever happens to users, and to runs, timelines end up with what Graph says last."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from graph_delta import World, graph_user
from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.errors import Unavailable
from perminute.domain.licensing.attributes import COUNTRY, license_attribute
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.reference.licenses import PRODUCTS
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event

if TYPE_CHECKING:
    import random

    from perminute.domain.licensing.timelines import Fact

IDS = ("adele", "bob", "carla", "dora")
HELD = ("SPE_E5", "MCOMEETADV", "MCOMEETACPEA", "MCOPSTNC", "SPE_E3")
COUNTRIES = ("DE", "SE", "US")

users = st.builds(
    lambda user_id, products, country, enabled: graph_user(
        user_id, *sorted(products), country=country, accountEnabled=enabled
    ),
    st.sampled_from(IDS),
    st.sets(st.sampled_from(HELD), max_size=3),
    st.sampled_from(COUNTRIES),
    st.booleans(),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), users),
        st.tuples(st.just("remove"), st.sampled_from(IDS)),
        st.tuples(st.just("forget links"), st.none()),
        st.tuples(st.just("pull"), st.none()),
        # So many pages, requests of the bus, or states come before it.
        st.tuples(
            st.sampled_from(["Graph fails", "the bus fails", "crash", "another run"]),
            st.integers(0, 2),
        ),
    ),
    min_size=1,
    max_size=25,
)


class Crash(BaseException):
    """The function ends at once."""


def do(world: World, step: str, detail: Any) -> None:
    graph = world.graph
    match step:
        case "put":
            graph.put(detail)
        case "remove":
            if detail in graph.users:
                graph.remove(detail)
        case "forget links":
            graph.forget_links()
        case "pull":
            assert world.pull().failure is None
        case "Graph fails":
            graph.failures = [*[None] * detail, Unavailable("Graph is down")]
            world.pull()
            graph.failures = []
        case "the bus fails":
            world.bus.fails_after = detail
            world.pull()
            world.bus.fails_after = None
        case "crash":
            crash(world, detail)
        case _:
            meet(world, detail)


def crash(world: World, stored: int) -> None:
    left = [Crash] + [None] * stored

    def store() -> None:
        if left and left.pop() is Crash:
            raise Crash

    world.bucket.before_state = store
    try:
        world.pull()
    except Crash:
        pass
    finally:
        world.bucket.before_state = bool


def meet(world: World, stored: int) -> None:
    """Another run does all of its work in the middle of a run."""
    left = [True] + [False] * stored

    def store() -> None:
        if left and left.pop():
            assert world.pull().failure is None

    world.bucket.before_state = store
    assert world.pull().failure is None
    world.bucket.before_state = bool


def timelines(events: list[Any], order: random.Random) -> dict[str, Timeline]:
    """What is recorded of users, in whichever order events arrive, and some of them twice."""
    arrived = events + order.sample(events, len(events) // 2)
    order.shuffle(arrived)
    facts: dict[str, dict[tuple[str, str], Fact]] = defaultdict(dict)
    for event in arrived:
        stated = licensing_event(read_event(json.dumps(event), LICENSING))
        for fact in stated.change.facts:
            copy = facts[str(stated.change.user_id)].setdefault(
                (fact.event_id, fact.attribute), fact
            )
            assert copy == fact, "one id states two things"
    return {user_id: Timeline(said.values()) for user_id, said in facts.items()}


@given(
    steps=steps,
    page_size=st.integers(1, 3),
    repeated=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_timelines_end_with_what_graph_said_last(
    steps: list[tuple[str, Any]], page_size: int, order: random.Random, *, repeated: bool
) -> None:
    world = World()
    world.graph.page_size, world.graph.repeated = page_size, repeated
    for step, detail in steps:
        do(world, step, detail)
    # What was not sent, and what is new.
    assert world.pull().failure is None
    recorded = timelines(world.bus.events, order)
    for user_id in IDS:
        timeline, said = recorded.get(user_id, Timeline()), world.graph.users.get(user_id)
        sold = {name for name in HELD if said and holds(said, name)}
        for product in PRODUCTS:
            held = timeline.value_at(license_attribute(product), world.now)
            assert (held is True) == (product in sold), (user_id, product)
        if said:
            assert timeline.value_at(COUNTRY, world.now) == said["usageLocation"]
    world.bus.events.clear()
    assert world.sent() == []


def holds(said: Any, product: str) -> bool:
    names = [one["skuId"] for one in graph_user("u", product)["assignedLicenses"]]
    assigned = [one["skuId"] for one in said["assignedLicenses"]]
    return said["accountEnabled"] and product in PRODUCTS and names[0] in assigned
