"""Users as Microsoft Graph gives them, compared with what we hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, fact, holds

from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.reference.licenses import PRODUCTS, SERVICE_PLANS, product_named
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event
from perminute_local.microsoft_graph import (
    Compared,
    compare,
    next_pages,
    read_users,
    unknown_skus,
)

if TYPE_CHECKING:
    from perminute_local.microsoft_graph import GraphUser

E5 = "06ebc4ee-1bb5-47dd-8120-11324bc54e06"
E3 = "6fd2c87f-b296-42f0-b197-1e91e994b900"
CREDITS = "47794cd0-f0e5-45c5-9033-2eb6b5fc84e0"
PER_MINUTE = "df9561a4-4969-4e6a-8e73-c601b68ec077"
AUDIO_CONFERENCING_PLAN = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
USER = "9f4fe8ea-7e6e-486e-b8f4-8b3b2f6a5d21"
GRAPH = "https://graph.microsoft.com/v1.0/users"
SEEN = datetime(2026, 11, 24, 6, tzinfo=UTC)


def user(*sku_ids: str, location: str | None = "DE", **more: Any) -> dict[str, Any]:
    """A user as `GET /users/{id}` answers, with what else there is in it."""
    return {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity",
        "id": USER,
        "displayName": "Adele Vance",
        "usageLocation": location,
        "assignedLicenses": [{"skuId": sku_id, "disabledPlans": []} for sku_id in sku_ids],
        **more,
    }


def read(document: object) -> list[GraphUser]:
    return read_users(json.dumps(document))


def said(document: object, held: Timeline | None = None) -> list[tuple[str, dict[str, str]]]:
    """What the events say beside whom they are about and since when."""
    (one,) = read(document)
    compared = compare(one, held or Timeline(), organization_id="contoso", seen_at=SEEN)
    common = {"schemaVersion", "organizationId", "issuedAt", "changeId", "userId", "effectiveAt"}
    return [
        (event["detail-type"], {k: v for k, v in event["detail"].items() if k not in common})
        for event in compared.events
    ]


def test_what_a_user_holds_that_we_do_not_know_of_is_assigned() -> None:
    assert said(user(E5, E3, CREDITS.upper())) == [
        ("License Assigned", {"license": "SPE_E5"}),
        ("License Assigned", {"license": "MCOPSTNC"}),
        ("User Changed", {"country": "DE"}),
    ]


def test_what_we_hold_and_graph_does_not_is_removed() -> None:
    held = holds("payPerMinute", "communicationsCredits", country="FR")
    assert said(user(PER_MINUTE), held) == [
        ("License Removed", {"license": "MCOPSTNC"}),
        ("User Changed", {"country": "DE"}),
    ]


def test_what_both_say_is_no_news() -> None:
    assert said(user(E5, CREDITS), holds("SPE_E5", "MCOPSTNC", country="DE")) == []


def test_what_counts_is_what_we_held_when_graph_was_asked() -> None:
    later = fact(license_attribute("SPE_E5"), value=False, since=SEEN + timedelta(hours=1))
    held = Timeline([*holds("SPE_E5", country="DE").facts, later])
    assert said(user(E5), held) == []
    assert said(user(), held) == [("License Removed", {"license": "SPE_E5"})]


def test_a_suite_whose_audio_conferencing_is_switched_off_brings_no_subscription() -> None:
    suite = {"skuId": E5, "disabledPlans": [AUDIO_CONFERENCING_PLAN.upper()]}
    assert said(user(assignedLicenses=[suite]), holds("SPE_E5", country="DE")) == [
        ("License Removed", {"license": "SPE_E5"})
    ]
    other = {"skuId": E5, "disabledPlans": ["57ff2da0-773e-42df-b2af-ffb7a2317929"]}
    assert said(user(assignedLicenses=[other]), holds("SPE_E5", country="DE")) == []


A5 = "e97c048c-37a4-45fb-ab50-922fbf07a370"


def plans(*plan_ids: str, status: str = "Enabled") -> list[dict[str, str]]:
    """Service plans as `assignedPlans` has them."""
    return [
        {
            "assignedDateTime": "2026-01-01T00:00:00Z",
            "capabilityStatus": status,
            "service": "MicrosoftCommunicationsOnline",
            "servicePlanId": plan_id,
        }
        for plan_id in plan_ids
    ]


OTHER_PLAN = "57ff2da0-773e-42df-b2af-ffb7a2317929"


def test_a_service_plan_brings_the_license_by_whatever_product_it_comes() -> None:
    """A5 and a room's license are in no list of ours."""
    of_a5 = user(A5, assignedPlans=plans(AUDIO_CONFERENCING_PLAN.upper(), OTHER_PLAN))
    assert said(of_a5, holds(country="DE")) == [("License Assigned", {"license": "MCOMEETADV"})]
    assert said(of_a5, holds("MCOMEETADV", country="DE")) == []
    assert unknown_skus(read(of_a5)) == frozenset()


def test_a_product_that_we_know_of_is_what_brings_its_plan() -> None:
    every_plan = plans(*SERVICE_PLANS.values())
    of_e5 = user(E5, CREDITS, assignedPlans=every_plan)
    assert said(of_e5, holds("SPE_E5", "MCOPSTNC", country="DE")) == [
        ("License Assigned", {"license": "MCOMEETACPEA"})
    ]


@pytest.mark.parametrize(
    ("status", "works"),
    [
        ("Enabled", True),
        ("Warning", True),
        ("Suspended", False),
        ("Deleted", False),
        ("LockedOut", False),
    ],
)
def test_a_plan_that_does_not_work_brings_nothing_whatever_the_product(
    status: str, *, works: bool
) -> None:
    of_e5 = user(E5, assignedPlans=plans(AUDIO_CONFERENCING_PLAN, status=status))
    assert (said(of_e5, holds("SPE_E5", country="DE")) == []) is works
    assert (said(of_e5, holds(country="DE")) == []) is not works
    assert said(user(E5, assignedPlans=[]), holds("SPE_E5", country="DE")) == [
        ("License Removed", {"license": "SPE_E5"})
    ]


def test_plans_alone_leave_a_product_that_we_know_of_as_it_is() -> None:
    delta = {"id": USER, "assignedPlans": plans(AUDIO_CONFERENCING_PLAN)}
    assert said(delta, holds("SPE_E5")) == []
    assert said(delta) == [("License Assigned", {"license": "MCOMEETADV"})]
    assert said({**delta, "assignedPlans": plans(OTHER_PLAN)}, holds("SPE_E5")) == [
        ("License Removed", {"license": "SPE_E5"})
    ]


def test_the_next_page_is_named() -> None:
    first, second = f"{GRAPH}?$skiptoken=1", f"{GRAPH}?$skiptoken=2"
    pages = [{"@odata.nextLink": link, "value": [user(E5)]} for link in (first, second)]
    assert next_pages(json.dumps(pages[0])) == [first]
    assert next_pages("\n".join(map(json.dumps, pages))) == [first, second]
    assert next_pages(json.dumps({"@odata.deltaLink": first, "value": []})) == []
    assert next_pages(json.dumps([user(E5)])) == []


def test_what_a_delta_leaves_out_stays_as_it_is() -> None:
    held = holds("SPE_E5", country="DE")
    assert said({"id": USER, "usageLocation": "SE"}, held) == [("User Changed", {"country": "SE"})]
    assert said({"id": USER, "assignedLicenses": []}, held) == [
        ("License Removed", {"license": "SPE_E5"})
    ]


@pytest.mark.parametrize(
    "gone",
    [
        {"id": USER, "@removed": {"reason": "changed"}},
        {"value": [{"changeType": "deleted", "resourceData": {"id": USER}, "tenantId": "t-1"}]},
    ],
)
def test_a_user_who_is_gone_holds_nothing(gone: dict[str, Any]) -> None:
    held = holds("SPE_E5", "MCOPSTNC", country="DE")
    assert said(gone, held) == [
        ("License Removed", {"license": "SPE_E5"}),
        ("License Removed", {"license": "MCOPSTNC"}),
    ]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(user(E5)),
        json.dumps([user(E5)]),
        json.dumps({"@odata.nextLink": "more", "value": [user(E5)]}),
        json.dumps({"value": [{"changeType": "updated", "resourceData": user(E5)}]}),
        json.dumps(user(E5), indent=2),
        f"{json.dumps(user(E5))}\n\n{json.dumps({'value': []})}\n",
    ],
)
def test_users_come_alone_in_pages_in_notifications_or_line_by_line(content: str) -> None:
    (one,) = read_users(content)
    assert (one.id, one.products()) == (USER, frozenset({"SPE_E5"}))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("no JSON", "file: is not JSON: Expecting value"),
        ('{"id": "u", "usageLocation": "DE"}\nno JSON', "line 2: is not JSON: Expecting value"),
        ("[7]", "item 1: must be a JSON object: a user, or a change notification"),
        ('[{"usageLocation": "DE"}]', "item 1 id: field required"),
        (
            '[{"id": "u-1 ", "usageLocation": "DE"}]',
            "item 1 id: must not begin or end with a space",
        ),
        (
            '[{"changeType": "updated", "resourceData": [7]}]',
            "item 1 resourceData: must be a JSON object: the user that the notification is about",
        ),
        (
            '[{"id": "u", "assignedLicenses": [{"skuId": 7}]}]',
            "item 1 assignedLicenses.0.skuId: input should be a valid string",
        ),
        (
            '{"value": [{"changeType": "updated", "resourceData": {"id": "u-1"}}]}',
            "item 1 assignedLicenses: is missing, and so are assignedPlans and usageLocation: a "
            "notification names the user only; ask Graph for "
            "/users/u-1?$select=id,assignedLicenses,assignedPlans,usageLocation and give me that",
        ),
        (
            '{"value": [{"id": "c-1", "callId": "a", "userId": "u-1", '
            '"startDateTime": "2026-11-02T08:25:11.7208889Z"}]}',
            "item 1: these are call records, not users. Calls are charged by `Call Ended` events "
            "(docs/events.md); for users ask Graph for /users?$select=id,assignedLicenses,",
        ),
        (
            '{"@odata.context": "$metadata#Collection(microsoft.graph.callRecords.pstnCallLogRow)",'
            '"value": []}',
            "file: these are call records, not users",
        ),
        (
            '{"id": "c-1", "correlationId": "c", "callType": "ByotIn"}',
            "user: these are call records, not users",
        ),
        (
            '{"error": {"code": "InvalidAuthenticationToken", "message": "It has expired."}}',
            "file: is an error that Graph answered, no users: InvalidAuthenticationToken: It has",
        ),
        (
            '[{"id": "e-1", "source": "perminute.licensing", "detail-type": "User Changed"}]',
            "item 1: is an event already, not a user; ask Graph for /users?$select=",
        ),
        (" \n", "file: is empty; ask Graph for /users?$select="),
        ("[" * 99_999, "file: is not JSON of users: its lists are too deep"),
        ('{"id": "u", "assignedPlans": []}\n' + "[" * 99_999, "line 2: is not JSON: "),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(content: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        read_users(content)
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    ("location", "held", "problem"),
    [
        (
            None,
            "DE",
            "usageLocation is empty, and DE stays: no event takes a country away",
        ),
        ("", "DE", "usageLocation is empty, and DE stays: no event takes a country away"),
        ("Germany", "DE", "usageLocation 'Germany' must be an ISO 3166-1 alpha-2 code such as DE"),
    ],
)
def test_what_no_event_can_say_is_told(location: str | None, held: str, problem: str) -> None:
    (one,) = read(user(location=location))
    compared = compare(one, holds(country=held), organization_id="contoso", seen_at=SEEN)
    assert compared == Compared((), (f"user {USER}: {problem}",))


def test_without_a_location_on_either_side_there_is_nothing_to_tell() -> None:
    (one,) = read(user(location=None))
    assert compare(one, Timeline(), organization_id="contoso", seen_at=SEEN) == Compared(())


def test_the_events_are_taken_in_as_they_are_and_then_there_is_no_more_news() -> None:
    (one,) = read(user(E5, PER_MINUTE, location="SE"))
    held = holds("communicationsCredits", country="DE")
    compared = compare(one, held, organization_id="contoso", seen_at=SEEN)
    taken_in = [licensing_event(read_event(json.dumps(e), LICENSING)) for e in compared.events]
    assert {event.change.user_id for event in taken_in} == {USER}
    assert {event.change.organization_id for event in taken_in} == {"contoso"}
    facts = [stated for event in taken_in for stated in event.change.facts]
    assert {stated.effective_at for stated in facts} == {SEEN}
    now = Timeline([*held.facts, *facts])
    assert compare(one, now, organization_id="contoso", seen_at=SEEN) == Compared(())
    before = SEEN - timedelta(microseconds=1)
    assert now.value_at("country", before) == "DE"


def test_a_user_is_named_as_events_store_it() -> None:
    (one,) = read(user(E5, id=USER.upper()))
    compared = compare(one, Timeline(), organization_id="contoso", seen_at=SEEN)
    assert one.id == USER
    assert {event["detail"]["userId"] for event in compared.events} == {USER}


def test_the_same_comparison_gives_the_same_ids_and_another_time_gives_others() -> None:
    (one,) = read(user(E5))

    def ids(organization_id: str, seen_at: datetime) -> set[str]:
        compared = compare(one, Timeline(), organization_id=organization_id, seen_at=seen_at)
        assert [e["detail"]["changeId"] for e in compared.events] == [
            e["id"] for e in compared.events
        ]
        return {event["id"] for event in compared.events}

    first = ids("contoso", SEEN)
    assert len(first) == 2
    assert ids("contoso", SEEN) == first
    assert not ids("contoso", ANSWERED) & first
    assert not ids("fabrikam", SEEN) & first


def test_an_event_that_a_bus_gave_another_id_and_time_is_the_same_event() -> None:
    (one,) = read(user(E5))
    seen_at = SEEN + timedelta(microseconds=250_000)
    events = compare(one, Timeline(), organization_id="contoso", seen_at=seen_at).events
    for event in events:
        over_a_bus = {**event, "id": "of-the-bus", "time": "2026-11-24T06:00:07Z"}
        ours, theirs = (
            licensing_event(read_event(json.dumps(body), LICENSING)) for body in (event, over_a_bus)
        )
        assert (ours.processed_event, ours.change) == (theirs.processed_event, theirs.change)
        assert {stated.issued_at for stated in ours.change.facts} == {seen_at}


def test_products_that_bring_nothing_of_ours_are_named() -> None:
    assert unknown_skus(read([user(E5, E3), user(E3, PER_MINUTE)])) == {E3}
    assert said(user(E3, location=None)) == []


def test_every_product_is_known_by_the_plan_that_brings_its_license() -> None:
    assert SERVICE_PLANS.keys() == PRODUCTS.keys()
    for product, plan in SERVICE_PLANS.items():
        assert PRODUCTS[product_named(plan)] is PRODUCTS[product]
