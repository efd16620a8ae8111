"""The real handlers, with the real use cases, work over twins."""

from __future__ import annotations

import gc
import json
import weakref
from typing import TYPE_CHECKING

from builders import ANSWERED, ORGANIZATION, WITHOUT_WAITING, card, purchase

from perminute.adapters.memory import PublishedRateCards
from perminute.application.book_credit import BookCredit
from perminute.domain.rerating.rerating import Rerating
from perminute_local.conditions import parameters_of, present
from perminute_local.replay.lambda_runtime import SQSMessage
from perminute_local.simulation.backends.twin_functions import (
    SharedTwins,
    load_twins,
)
from perminute_local.stack import resources

if TYPE_CHECKING:
    from perminute_local.stack import Template


def test_a_licensing_event_from_before_the_horizon_is_kept_and_changes_nothing(
    template: Template,
) -> None:
    """By the event's own time, whenever it arrives."""
    world = SharedTwins(PublishedRateCards(card()))
    function = load_twins(template, world)["ApplyLicensingFunction"]
    for identity, effective_at in (
        ("e-1", "2025-09-28T09:00:00Z"),
        ("e-2", "2025-09-28T08:59:59Z"),
    ):
        stated = {
            "id": identity,
            "source": "perminute.licensing",
            "detail-type": "User Changed",
            "time": "2026-11-02T09:00:00Z",
            "detail": {
                "organizationId": ORGANIZATION,
                "userId": "adele",
                "country": "DE",
                "effectiveAt": effective_at,
            },
        }
        assert not function.invoke([SQSMessage(json.dumps(stated))], "arn")
    assert world.store.account(ORGANIZATION).user_facts == 1
    (kept,) = world.refused["LicensingDeadLetters"].stored
    assert (kept.event_id, kept.reason.partition(";")[0]) == (
        "e-2",
        "effectiveAt: lies more than 400 days before the event was issued",
    )


def test_what_one_function_books_another_reads(template: Template) -> None:
    world = SharedTwins(PublishedRateCards(card()))
    functions = load_twins(template, world)
    there = present(template, parameters_of(template, {}))
    assert set(functions) == {name for name, _ in resources(there, "AWS::Serverless::Function")}
    bought = {
        "id": "e-1",
        "source": "perminute.billing",
        "detail-type": "Credit Purchased",
        "time": "2026-11-02T08:00:00Z",
        "detail": {
            "schemaVersion": "1",
            "organizationId": "contoso",
            "purchaseId": "po-1",
            "amount": "80.00",
            "currency": "USD",
            "purchasedAt": "2026-11-02T08:00:00Z",
        },
    }
    assert not functions["BookCreditFunction"].invoke([SQSMessage(json.dumps(bought))], "arn")
    answer = functions["AuthorizeCallsFunction"].call(
        {"operation": "balance", "organizationId": "contoso"}
    )
    assert answer is not None
    assert answer["balance"] == "80"
    assert world.store.account("contoso").balance_micros == 80_000_000
    assert not functions["BookCreditFunction"].invoke([SQSMessage("no event")], "arn")
    assert [one.body for one in world.refused["CreditDeadLetters"].stored] == ["no event"]


def test_the_evening_run_wakes_those_of_whom_something_still_waits(template: Template) -> None:
    world = SharedTwins(PublishedRateCards(card()))
    BookCredit(world.store, WITHOUT_WAITING)([purchase()])
    world.store.reratings.clear()
    evening = load_twins(template, world)["QueueReratingsFunction"]
    assert evening.call({}) == {"batchItemFailures": []}
    assert world.rerating_requests.sent == []
    forgotten = Rerating(organization_id=ORGANIZATION, rerating_id="event#e", at=ANSWERED)
    world.store.reratings[ORGANIZATION, forgotten.rerating_id] = forgotten
    assert evening.call({}) == {"batchItemFailures": []}
    assert world.rerating_requests.sent == [ORGANIZATION]


def test_a_world_is_freed_once_others_follow_it(template: Template) -> None:
    """The functions exempt from garbage collection what is there when they have started."""
    world = SharedTwins(PublishedRateCards(card()))
    world.store.itself = world.store  # type: ignore[attr-defined] # only the collector frees it
    functions = load_twins(template, world)
    store = weakref.ref(world.store)
    del world, functions
    load_twins(template, SharedTwins(PublishedRateCards(card())))
    gc.collect()
    assert store() is None
