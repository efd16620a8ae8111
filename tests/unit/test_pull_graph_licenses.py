"""License changes of Microsoft Graph's users: what is sent of each way in which a delta comes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from graph_delta import BEGIN, HOST, SKUS, TENANT, DeltaGraph, World, graph_user, tenant_row

from perminute.application.graph_licenses_state import Removals
from perminute.application.pull_graph_licenses import raise_failures
from perminute.application.retry import Deadline
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.licensing.graph_users import NOT_A_USER, KnownUser
from perminute.domain.licensing.timelines import Timeline
from perminute.formats.graph_users import DELTA_PLACE, read_delta_user
from perminute.ports.graph import GraphRefused
from perminute_local.microsoft_graph import compare, read_users

NAME = f"graph-licenses/{TENANT}"
FORBIDDEN = GraphRefused("Graph refused: status 403, Forbidden", status=403, code="Forbidden")
DOWN = Unavailable("Graph answered 503, 6 times in a row")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def known(world: World) -> World:
    """A tenant whose users were read: three who have licenses, and one who has none."""
    world.graph.put(
        graph_user("adele", "SPE_E5", "MCOPSTNC"),
        graph_user("bob", "MCOMEETACPEA", country="US"),
        graph_user("carla", "MCOMEETADV"),
        graph_user("guest", country=None),
    )
    assert world.sent() != []
    world.graph.asked.clear()
    return world


def test_the_first_run_states_what_holds_and_the_next_one_has_no_news(world: World) -> None:
    world.graph.put(graph_user("adele", "SPE_E5", "SPE_E3"), graph_user("guest", country=None))
    world.graph.put(graph_user("bob", country="US"))
    done = world.pull()
    assert (done.users, done.is_full, done.sent) == (
        3,
        True,
        {"License Assigned": 1, "User Changed": 2},
    )
    assert world.bus.said() == [
        ("adele", "Assigned", "SPE_E5"),
        ("adele", "User Changed", "DE"),
        ("bob", "User Changed", "US"),
    ]
    done = world.pull()
    assert (done.users, done.is_full, world.bus.said()) == (0, False, [])
    assert world.graph.asked[0] == DELTA_PLACE
    assert world.graph.asked[-1].endswith("$deltatoken=3")


def test_a_change_holds_from_the_instant_at_which_its_page_was_asked_for(world: World) -> None:
    world.graph.put(*(graph_user(f"u-{number}", "SPE_E5", country=None) for number in range(3)))
    world.pull()
    times = [
        {event["time"], event["detail"]["effectiveAt"], event["detail"]["issuedAt"]}
        for event in world.bus.events
    ]
    # The clock moved to see the directory, and for each of two pages.
    assert times == [
        {"2026-11-02T06:00:02Z"},
        {"2026-11-02T06:00:02Z"},
        {"2026-11-02T06:00:03Z"},
    ]


def test_the_instant_is_that_before_the_answer(world: World) -> None:
    """What changes while Graph is answering is said by the next round at the earliest."""

    def answer_slowly() -> None:
        world.now += timedelta(minutes=1)

    world.graph.before_page = answer_slowly
    world.graph.put(graph_user("adele", "SPE_E5", country=None))
    world.pull()
    assert [event["time"] for event in world.bus.events] == ["2026-11-02T06:00:02Z"]


def test_a_license_that_comes_goes_and_comes_is_three_events(world: World) -> None:
    for products in (["SPE_E5"], [], ["SPE_E5"]):
        world.graph.put(graph_user("adele", *products, country=None))
        world.pull()
    assert len({event["detail"]["changeId"] for event in world.bus.events}) == 3


def test_only_what_differs_is_sent(known: World) -> None:
    known.graph.put(
        graph_user("adele", "SPE_E5"),
        graph_user("bob", "MCOMEETACPEA", country="SE"),
        graph_user("carla", "MCOMEETADV", displayName="Carla"),
        graph_user("guest", "MCOMEETACPEA", country=None),
    )
    assert known.sent() == [
        ("adele", "Removed", "MCOPSTNC"),
        ("bob", "User Changed", "SE"),
        ("guest", "Assigned", "MCOMEETACPEA"),
    ]


def test_a_user_who_is_gone_or_disabled_loses_all_licenses(known: World) -> None:
    known.graph.remove("adele")
    known.graph.put(graph_user("bob", "MCOMEETACPEA", country="US", accountEnabled=False))
    assert known.sent() == [
        ("adele", "Removed", "SPE_E5"),
        ("adele", "Removed", "MCOPSTNC"),
        ("bob", "Removed", "MCOMEETACPEA"),
    ]
    known.graph.put(graph_user("adele", "SPE_E5"), {"id": "bob", "accountEnabled": True})
    assert known.sent() == [
        ("adele", "Assigned", "SPE_E5"),
        ("adele", "User Changed", "DE"),
        ("bob", "Assigned", "MCOMEETACPEA"),
    ]


def test_what_a_delta_leaves_out_stays_as_it_was(known: World) -> None:
    known.graph.put({"id": "adele", "usageLocation": "SE"}, {"id": "bob"})
    assert known.sent() == [("adele", "User Changed", "SE")]


def test_a_plan_by_an_unknown_product_stays_when_another_product_is_added(world: World) -> None:
    """A5 is in no list of ours: only its plan says what it brings."""
    plan = {"servicePlanId": "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40", "capabilityStatus": "Enabled"}
    a5, e3 = (
        {"skuId": "e97c048c-37a4-45fb-ab50-922fbf07a370"},
        {"skuId": "05e9a617-0261-4cee-bb44-138d3ef5d965"},
    )
    world.graph.put({"id": "u-1", "assignedLicenses": [a5], "assignedPlans": [plan]})
    assert world.sent() == [("u-1", "Assigned", "MCOMEETADV")]
    world.graph.put({"id": "u-1", "assignedLicenses": [a5, e3]})
    assert world.sent() == []


def test_a_plan_that_works_again_is_that_of_the_product_that_graph_named_before(
    world: World,
) -> None:
    user = graph_user("adele", "SPE_E5", country=None)
    plan, stopped = user["assignedPlans"], {"capabilityStatus": "Suspended"}
    world.graph.put(user)
    world.pull()
    world.graph.put({"id": "adele", "assignedPlans": [{**plan[0], **stopped}]})
    world.pull()
    world.graph.put({"id": "adele", "assignedPlans": plan})
    world.pull()
    assert world.bus.said() == [
        ("adele", "Assigned", "SPE_E5"),
        ("adele", "Removed", "SPE_E5"),
        ("adele", "Assigned", "SPE_E5"),
    ]


def test_what_two_pages_say_of_a_user_holds_together(world: World) -> None:
    licenses = graph_user("adele", "SPE_E5")
    del licenses["usageLocation"]
    items = [licenses, {"id": "adele", "usageLocation": "SE"}]
    world.graph._round = lambda link: (items, len(link))  # type: ignore[method-assign] # noqa: SLF001
    assert world.sent() == [("adele", "Assigned", "SPE_E5"), ("adele", "User Changed", "SE")]


def test_a_user_on_several_pages_counts_as_the_last_one_says(known: World) -> None:
    known.graph.page_size = 1
    known.graph.repeated = True
    known.graph.put(graph_user("adele"))
    pages = [
        [graph_user("adele")],
        [graph_user("adele", "MCOMEETADV")],
        [graph_user("adele", "SPE_E5", "MCOPSTNC")],
    ]
    known.graph._round = lambda link: (  # type: ignore[method-assign] # noqa: SLF001
        [user for page in pages for user in page] if "deltatoken" in link else rest(known, link),
        9,
    )
    assert known.sent() == []
    assert len(known.graph.asked) == 3


def rest(world: World, link: str) -> list[Any]:
    return world.graph._rounds[link.removeprefix(HOST)]  # noqa: SLF001


def test_after_410_all_users_are_read_and_those_who_are_missing_are_gone(known: World) -> None:
    known.graph.remove("adele")
    known.graph.put(graph_user("bob", "MCOMEETACPEA", country="US"), graph_user("dora", "SPE_E5"))
    known.graph.forget_links()
    done = known.pull()
    assert (done.is_full, done.failure) == (True, None)
    assert known.graph.asked[:2] == [known.graph.asked[0], DELTA_PLACE]
    assert known.bus.said() == [
        ("dora", "Assigned", "SPE_E5"),
        ("dora", "User Changed", "DE"),
        ("adele", "Removed", "SPE_E5"),
        ("adele", "Removed", "MCOPSTNC"),
    ]
    assert known.sent() == []


def test_all_is_said_of_each_user_when_all_are_read(known: World) -> None:
    """A property that was never set is left out: it is none that stays as it was."""
    known.graph.put({"id": "adele"}, {"id": "carla", "usageLocation": "DE"})
    known.graph.forget_links()
    assert known.sent() == [
        ("adele", "Removed", "SPE_E5"),
        ("adele", "Removed", "MCOPSTNC"),
        ("carla", "Removed", "MCOMEETADV"),
    ]
    # Only a country stays, since no event takes it away.
    known.graph.put(graph_user("adele", "SPE_E5"))
    assert known.sent() == [("adele", "Assigned", "SPE_E5")]


def test_a_token_that_microsoft_calls_by_a_code_has_expired_as_well(known: World) -> None:
    expired = GraphRefused("Graph refused: status 400", status=400, code="SyncStateNotFound")
    known.graph.failures = [expired]
    assert known.pull().is_full


def test_all_users_are_read_anew_once_only(known: World) -> None:
    known.graph.forget_links()
    known.graph.page_size = 1
    # The link to the second page of all users ends, too.
    known.graph.before_page = known.graph.forget_links
    done = known.pull()
    assert str(done.failure) == "Graph refused: status 410, syncStateNotFound"
    known.graph.before_page = bool
    assert known.sent() == []


def test_a_refusal_is_a_failure_and_nothing_changes(known: World) -> None:
    before = known.bucket.states[NAME]
    known.graph.put(graph_user("adele"))
    known.graph.failures = [FORBIDDEN]
    done = known.pull()
    assert done.failure is FORBIDDEN
    with pytest.raises(Unavailable, match=rf"^1 of 1 tenants: {TENANT}: Graph refused: status 403"):
        raise_failures([done])
    assert known.bucket.states[NAME] == before
    assert len(known.sent()) == 2


def test_a_refusal_is_a_failure_even_if_no_time_is_left(known: World) -> None:
    known.graph.failures = [FORBIDDEN]
    assert known.pull(Deadline(-1, clock=float)).failure is FORBIDDEN


def test_a_run_that_was_interrupted_goes_on_at_its_page(world: World) -> None:
    world.graph.page_size = 1
    world.graph.put(*(graph_user(f"u-{number}", "SPE_E5", country=None) for number in range(4)))
    world.graph.failures = [None, None, DOWN]
    assert world.pull().failure is DOWN
    assert world.bus.said() == []
    world.graph.asked.clear()
    assert [user for user, *_ in world.sent()] == ["u-0", "u-1", "u-2", "u-3"]
    assert len(world.graph.asked) == 2
    assert DELTA_PLACE not in world.graph.asked


def test_a_run_without_time_left_is_no_failure_and_the_next_one_goes_on(world: World) -> None:
    world.graph.page_size = 1
    world.graph.put(*(graph_user(f"u-{number}", "SPE_E5", country=None) for number in range(3)))
    time = iter(range(100))
    done = world.pull(Deadline(0.5, clock=lambda: float(next(time))))
    assert (done.goes_on, done.failure, world.bus.said()) == (True, None, [])
    assert len(world.sent()) == 3
    assert world.graph.asked.count(DELTA_PLACE) == 1


def test_a_run_without_time_to_send_all_sends_the_rest_the_next_time(world: World) -> None:
    users = [graph_user(f"u-{number}", "SPE_E5", country=None) for number in range(120)]
    world.graph.page_size = 200
    world.graph.put(*users)
    time = iter(range(100))
    done = world.pull(Deadline(0.5, clock=lambda: float(next(time))))
    assert (done.goes_on, done.failure) == (True, None)
    first = world.bus.said()
    assert 0 < len(first) < 120
    done = world.pull()
    rest = world.bus.said()
    assert sorted(first + rest) == sorted((user["id"], "Assigned", "SPE_E5") for user in users)
    assert (done.users, world.graph.asked.count(DELTA_PLACE)) == (0, 1)


def test_what_the_bus_did_not_take_is_sent_again_as_the_same_event(known: World) -> None:
    known.graph.put(graph_user("adele", country="SE"))
    known.bus.fails_after = 0
    assert str(known.pull().failure) == "the bus did not take an event"
    known.now += timedelta(days=1)
    known.bus.fails_after = None
    known.graph.put(graph_user("adele", "MCOPSTNC", country="SE"))
    assert known.pull().failure is None
    times = [event["detail"]["effectiveAt"][:10] for event in known.bus.events]
    assert times == ["2026-11-02"] * 3 + ["2026-11-03"]
    assert known.bus.said() == [
        ("adele", "Removed", "SPE_E5"),
        ("adele", "Removed", "MCOPSTNC"),
        ("adele", "User Changed", "SE"),
        ("adele", "Assigned", "MCOPSTNC"),
    ]


class Crash(BaseException):
    """The function ends at once."""


def test_a_crash_between_sending_and_the_state_repeats_the_same_events(known: World) -> None:
    known.graph.put(graph_user("adele"), graph_user("dora", "SPE_E5"))
    stored = []

    def crash_the_second_time() -> None:
        stored.append(1)
        if len(stored) == 2:
            raise Crash

    known.bucket.before_state = crash_the_second_time
    with pytest.raises(Crash):
        known.pull()
    first = known.bus.events.copy()
    known.bucket.before_state = bool
    known.now += timedelta(hours=1)
    known.pull()
    assert known.bus.events == first * 2
    known.bus.events.clear()
    assert known.sent() == []


def test_nothing_is_sent_before_it_is_stored_what_is_to_be_sent(known: World) -> None:
    known.graph.put(graph_user("adele"))
    before = known.bucket.states[NAME]

    def check() -> None:
        assert known.bucket.states[NAME] != before

    known.bus.before = check
    assert len(known.sent()) == 2


def test_of_two_runs_at_once_one_sends_and_the_other_ends(known: World) -> None:
    known.graph.put(graph_user("adele", "SPE_E5"))
    others = []

    def run_another() -> None:
        known.bucket.before_state = bool
        others.append(known.pull())

    known.bucket.before_state = run_another
    done = known.pull()
    assert (done.overtaken, done.failure) == (True, None)
    assert (others[0].overtaken, others[0].sent) == (False, {"License Removed": 1})
    assert known.bus.said() == [("adele", "Removed", "MCOPSTNC")]
    assert known.sent() == []


def test_a_run_that_begins_while_another_one_sends_repeats_its_events(known: World) -> None:
    known.graph.put(graph_user("adele", "SPE_E5"))

    def run_another() -> None:
        known.bus.before = bool
        known.graph.put(graph_user("adele", "SPE_E5", "MCOPSTNC"))
        known.pull()

    known.bus.before = run_another
    done = known.pull()
    assert done.overtaken
    removed, added, again = known.bus.events
    assert removed == again
    assert added["detail"]["effectiveAt"] > removed["detail"]["effectiveAt"]
    known.bus.events.clear()
    assert known.sent() == []


def test_a_clock_that_was_put_back_makes_no_older_statement(known: World) -> None:
    known.now = BEGIN - timedelta(hours=1)
    known.graph.put(graph_user("adele", "SPE_E5"))
    known.pull()
    (event,) = known.bus.events
    assert event["detail"]["effectiveAt"] > "2026-11-02T06:00:00Z"


def many(count: int, *products: str) -> list[Any]:
    return [graph_user(f"u-{number}", *products, country=None) for number in range(count)]


@pytest.mark.parametrize(
    ("holders", "losers", "refused"),
    [(10, 10, False), (11, 11, True), (22, 11, False), (21, 11, True), (30, 16, True)],
)
def test_an_answer_that_takes_most_licenses_is_refused(
    world: World, holders: int, losers: int, *, refused: bool
) -> None:
    world.graph.put(*many(holders, "SPE_E5"))
    assert len(world.sent()) == holders
    world.graph.put(*many(losers))
    done = world.pull()
    assert done.refused == (Removals(losers, holders) if refused else None)
    assert done.failure is None
    assert len(world.bus.said()) == (0 if refused else losers)
    if refused:
        why = f"an answer that takes the licenses of {losers} of {holders} users is refused$"
        with pytest.raises(Unavailable, match=why):
            raise_failures([done])
    else:
        raise_failures([done])


def test_a_refused_answer_is_asked_for_again_until_it_is_right_or_accepted(world: World) -> None:
    world.graph.put(*many(12, "SPE_E5"))
    assert len(world.sent()) == 12
    world.graph.put(*many(12))
    assert world.pull().refused is not None
    assert world.pull().refused is not None
    world.graph.put(*many(11, "SPE_E5"))
    assert world.sent() == [("u-11", "Removed", "SPE_E5")]
    world.graph.put(*many(12))
    assert world.pull().refused is not None
    done = world.pull(accept_removals=[TENANT.upper()])
    assert (done.refused, done.sent) == (None, {"License Removed": 11})


def test_an_empty_answer_to_all_users_is_refused(world: World) -> None:
    world.graph.put(*many(12, "SPE_E5"))
    world.pull()
    users, world.graph.users = world.graph.users, {}
    world.graph.forget_links()
    assert world.pull().refused == Removals(12, 12)
    world.graph.users = users
    world.bus.events.clear()
    assert world.sent() == []


def test_a_company_that_changes_over_to_another_product_is_not_refused(world: World) -> None:
    world.graph.put(*many(12, "MCOMEETACPEA"))
    world.pull()
    world.bus.events.clear()
    world.graph.put(*many(12, "SPE_E5"))
    assert len(world.sent()) == 24


def test_only_tenants_of_the_secret_are_accepted(known: World) -> None:
    with pytest.raises(Refused, match=r"^acceptRemovals: names a tenant that the secret does not"):
        known.pull(accept_removals=["another"])


def test_a_tenant_that_the_directory_does_not_have_is_not_read(world: World) -> None:
    world.directory = tenant_row()
    world.directory.entries = ()
    world.directory.tenants = type(world.directory.tenants)(())
    done = world.pull()
    assert str(done.failure) == (
        f"the directory has no row tenant,{TENANT}: add it; no user was read until then"
    )
    assert world.graph.asked == []


def test_a_tenant_of_another_organization_is_stated_there_as_a_whole(known: World) -> None:
    known.graph.put(graph_user("adele"))
    known.bus.fails_after = 0
    known.pull()
    known.bus.fails_after = None
    known.directory = tenant_row("fabrikam")
    known.pull()
    said = [(event["detail"]["organizationId"], event["detail-type"]) for event in known.bus.events]
    assert said[:2] == [("contoso", "License Removed")] * 2
    assert set(said[2:]) == {("fabrikam", "License Assigned"), ("fabrikam", "User Changed")}
    known.bus.events.clear()
    assert known.sent() == []


def test_one_tenant_that_fails_stops_no_other(world: World) -> None:
    world.graph.put(graph_user("adele", "SPE_E5", country=None))
    broken = DeltaGraph(failures=[DOWN])
    done = world.use_case({"broken": broken, TENANT: world.graph})()
    assert [(pull.tenant, pull.failure is None) for pull in done] == [
        ("broken", False),
        (TENANT, True),
    ]
    assert world.bus.said() == [("adele", "Assigned", "SPE_E5")]


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("Germany", "usageLocation 'Germany' must be an ISO 3166-1 alpha-2 code such as DE"),
        (None, "usageLocation is empty, and DE stays: no event takes a country away"),
    ],
)
def test_what_no_event_can_state_is_told(known: World, location: str | None, problem: str) -> None:
    known.graph.put(graph_user("carla", country=location))
    done = known.pull()
    assert (done.problems, done.failure) == ([f"user carla: {problem}"], None)
    assert known.bus.said() == [("carla", "Removed", "MCOMEETADV")]
    known.graph.put(graph_user("carla"))
    assert known.sent() == []


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"id": 7}, "user id: input should be a valid string"),
        ({}, "user id: field required"),
        ({"id": "\ud800"}, "user id: input should be a valid string, unable to parse raw data"),
        ({"id": "u", "assignedLicenses": "E5"}, "user assignedLicenses: input should be a valid"),
        ({"id": "u", "accountEnabled": "no"}, "user accountEnabled: input should be a valid bool"),
        ([], "user: must be a JSON object"),
    ],
)
def test_an_answer_that_is_not_one_of_users_is_not_acted_on(
    known: World, item: Any, why: str
) -> None:
    known.graph.put(graph_user("adele"))
    known.graph._round = lambda link: ([graph_user("adele"), item], len(link))  # type: ignore[method-assign] # noqa: SLF001
    done = known.pull()
    assert str(done.failure).startswith(f"Graph's answer is not one of users: {why}")
    assert known.bus.said() == []


def test_an_answer_without_any_link_is_not_acted_on(known: World) -> None:
    known.graph.put(graph_user("adele"))
    page = known.graph.page
    known.graph.page = lambda link: page(link)._replace(delta_link=None)  # type: ignore[method-assign]
    done = known.pull()
    assert str(done.failure) == "Graph's answer has neither a next page nor a delta link"
    assert known.bus.said() == []
    known.graph.page = page  # type: ignore[method-assign]
    assert len(known.sent()) == 2


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"organizationId": "o", "users": {"u": [7]}}'])
def test_a_damaged_state_is_named_and_not_replaced(known: World, content: bytes) -> None:
    damaged = known.bucket.states[NAME]._replace(content=content)
    known.bucket.states[NAME] = damaged
    done = known.pull()
    assert str(done.failure).startswith(f"the state {NAME} is damaged: ")
    assert known.bucket.states[NAME] == damaged


def test_a_state_of_a_later_version_is_not_read(known: World) -> None:
    state = known.bucket.states[NAME]
    later = state.content.replace(b"{", b'{"version":2,', 1)
    known.bucket.states[NAME] = state._replace(content=later)
    assert str(known.pull().failure).startswith(
        f"the state {NAME} is damaged: Invalid enum value 2"
    )


def test_a_user_of_whom_nothing_is_known_is_not_remembered() -> None:
    gone = read_delta_user(b'{"id": "u-1", "@removed": {"reason": "deleted"}}')
    assert KnownUser(("SPE_E5",), "DE", ("SPE_E5",)).updated(gone) is NOT_A_USER
    world = World()
    world.graph.put(graph_user("adele", "SPE_E5"))
    world.pull()
    world.graph.remove("adele")
    world.pull()
    assert b"adele" not in world.bucket.states[NAME].content


def test_the_first_events_are_those_of_the_command(world: World) -> None:
    """What `perminute graph` states at the same instant is the same event."""
    world.graph.put(graph_user("adele", "SPE_E5", "MCOPSTNC"))
    world.pull()
    at = BEGIN + timedelta(seconds=2)
    skus = [{"skuId": SKUS[name]} for name in ("SPE_E5", "MCOPSTNC")]
    export = {"id": "adele", "usageLocation": "DE", "assignedLicenses": skus}
    (user,) = read_users(json.dumps(export))
    compared = compare(user, Timeline(), organization_id="contoso", seen_at=at)
    assert list(compared.events) == world.bus.events
