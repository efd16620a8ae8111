from __future__ import annotations

import json
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from perminute.adapters.memory import ScheduledRedeliveries, StoredRejections
from perminute.application.results import Accepted, Duplicate, Result
from perminute.application.retry import Deadline
from perminute.domain.errors import Contended, Refused, Throttled, Unavailable
from perminute.observability import logger
from perminute.sqs import (
    LARGE,
    BatchResults,
    Message,
    hidden_seconds,
    process_batch,
    sqs_handler,
)
from perminute_local.replay.lambda_runtime import Context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

    from perminute.ports.messaging import Redeliveries, Rejection
    from perminute.sqs import Received

VERDICTS: dict[str, Result[str]] = {
    "new": Accepted("new"),
    "old": Duplicate(),
    "conflict": Refused("callId", "conflict"),
    "later": Unavailable("the table does not answer"),
    "busy": Contended("the account kept changing"),
    "throttled": Throttled("the table is throttled"),
}


def open_word(body: str, _: Received) -> str:
    word: str = json.loads(body)["word"]
    if word == "poison":
        raise Refused("word", "must not be poison")
    return word


def judge(words: Sequence[str], _: Deadline) -> list[Result[str]]:
    return [VERDICTS[word] for word in words]


def nameless(_: str) -> dict[str, str]:
    return {}


def batch(*words: str) -> dict[str, list[dict[str, str]]]:
    records = [
        {"messageId": f"m-{word}", "body": json.dumps({"id": f"e-{word}", "word": word})}
        for word in words
    ]
    return {"Records": records}


class FullQueue:
    def store(self, rejections: Sequence[Rejection]) -> None:
        raise Unavailable(f"no room for {len(rejections)}")


def test_each_message_is_settled_by_its_own_verdict() -> None:
    rejections = StoredRejections()
    settled = process_batch(
        batch("poison", "new", "old", "conflict", "later"),
        parse=open_word,
        use_case=judge,
        rejections=rejections,
        names_of=nameless,
    )
    assert settled.accepted == ["new"]
    assert settled.response() == {"batchItemFailures": [{"itemIdentifier": "m-later"}]}
    assert settled.counts() == {"accepted": 1, "repeated": 1, "refused": 2, "failed": 1}
    assert settled.failures() == {"the table does not answer": 1}
    assert [
        (kept.event_id, kept.reason, json.loads(kept.body)["word"]) for kept in rejections.stored
    ] == [
        ("e-poison", "word: must not be poison", "poison"),
        ("e-conflict", "callId: conflict", "conflict"),
    ]


def handled(
    redeliveries: Redeliveries, records: Sequence[dict[str, Any]]
) -> dict[str, list[dict[str, str]]]:
    handler: Any = sqs_handler(
        parse=open_word,
        use_case=judge,
        rejections=StoredRejections(),
        report=lambda _: None,
        redeliveries=redeliveries,
        names_of=nameless,
    )
    context = Context(function_name="f", invoked_function_arn="arn")
    response: dict[str, list[dict[str, str]]] = handler({"Records": list(records)}, context)
    return response


def delivered(word: str, receives: int) -> dict[str, Any]:
    return {
        "messageId": f"m-{word}-{receives}",
        "body": json.dumps({"word": word}),
        "receiptHandle": f"r-{word}-{receives}",
        "attributes": {"ApproximateReceiveCount": str(receives)},
    }


def test_contended_messages_come_back_soon_and_others_that_failed_after_their_timeout() -> None:
    """An outage or a lack of capacity may last for minutes, and must not use up the receives."""
    scheduled = ScheduledRedeliveries()
    words = ("new", "old", "conflict", "later", "throttled")
    response = handled(
        scheduled,
        [*(delivered(word, 3) for word in words), *(delivered("busy", n) for n in (1, 4, 10))],
    )
    failed = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
    assert failed == ["m-later-3", "m-throttled-3", "m-busy-1", "m-busy-4", "m-busy-10"]
    (first, fourth, tenth) = scheduled.scheduled.values()
    assert list(scheduled.scheduled) == ["r-busy-1", "r-busy-4", "r-busy-10"]
    assert 1 <= first <= 2
    assert 8 <= fourth <= 16
    assert 100 <= tenth <= 200


def test_a_contended_message_is_hidden_for_twice_as_long_each_time_up_to_its_timeout() -> None:
    latest = [hidden_seconds(receives, 0.0) for receives in range(1, 11)]
    assert latest == [2, 4, 8, 16, 32, 64, 128, 200, 200, 200]
    earliest = [hidden_seconds(receives, 1.0) for receives in range(1, 11)]
    assert earliest == [1, 2, 4, 8, 16, 32, 64, 100, 100, 100]
    assert hidden_seconds(10**9, 0.0) == 200


def test_a_message_that_failed_for_another_reason_as_well_waits_for_its_timeout() -> None:
    busy, both = Message("busy", "", "r-busy", 1), Message("both", "", "r-both", 1)
    batch: BatchResults[str] = BatchResults(
        failed=[(busy, "contended"), (both, "contended"), (both, "no answer")],
        contended=[busy, both],
    )
    assert batch.to_deliver_soon == [busy]


def test_a_batch_without_contended_messages_schedules_nothing() -> None:
    handled(Unscheduled(), [delivered("later", 1), delivered("new", 1)])


class Unscheduled:
    def schedule(self, seconds: Mapping[str, int]) -> None:
        raise Unavailable(f"{list(seconds)} were not taken")


def test_if_a_redelivery_cannot_be_scheduled_the_message_still_comes_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A benchmark that ran before in this process has the logger write errors only.
    with caplog.at_level("WARNING", logger=logger.name):
        response = handled(Unscheduled(), [delivered("busy", 1)])
    assert response == {"batchItemFailures": [{"itemIdentifier": "m-busy-1"}]}
    (record,) = caplog.records
    assert record.message == "contended messages are delivered again late"
    assert vars(record)["reason"] == "['r-busy-1'] were not taken"


def test_a_refusal_that_cannot_be_kept_comes_again() -> None:
    settled = process_batch(
        batch("poison", "new"),
        parse=open_word,
        use_case=judge,
        rejections=FullQueue(),
        names_of=nameless,
    )
    assert settled.accepted == ["new"]
    assert settled.response() == {"batchItemFailures": [{"itemIdentifier": "m-poison"}]}


def test_refusals_for_which_no_time_is_left_come_again() -> None:
    rejections = StoredRejections()
    messages = batch("poison", "poison", "poison")
    for number, record in enumerate(messages["Records"]):
        record["messageId"] += f"-{number}"
    settled = process_batch(
        messages,
        parse=open_word,
        use_case=judge,
        rejections=rejections,
        # Asked once before each message is parsed, and once before each refusal is stored.
        deadline=Deadline(at=5, clock=partial(next, count(1))),
    )
    assert len(rejections.stored) == 1
    assert settled.failures() == {"no time was left in this invocation": 2}


def test_dividing_large_events_leaves_half_of_the_time_to_charge_the_rest() -> None:
    """Twenty-five events of 500 organizations in a batch are 1,250 requests to queue them again."""
    now = [0.0]

    def divide(body: str, received: Received) -> list[tuple[str, Received]]:
        if len(body) <= LARGE:
            return [(body, received)]
        now[0] += 1
        return []

    def charge(words: Sequence[str], deadline: Deadline) -> list[Result[str]]:
        assert not deadline.passed
        return judge(words, deadline)

    settled = process_batch(
        batch("old", *["large" * LARGE] * 25, "new"),
        divide=divide,
        parse=open_word,
        use_case=charge,
        rejections=StoredRejections(),
        deadline=Deadline(at=20, clock=lambda: now[0]),
        names_of=nameless,
    )
    assert settled.counts() == {"accepted": 1, "repeated": 1, "refused": 0, "failed": 15}
    assert now == [10.0]
    assert settled.failures().keys() == {"no time was left in this invocation"}


def test_a_refused_message_without_an_event_id_goes_by_its_fingerprint() -> None:
    rejections = StoredRejections()

    def refuse(body: str, _: Received) -> str:
        raise Refused("event", f"has {len(body)} characters" + "!" * 5_000)

    bodies = [
        "",
        "[]",
        '{"id": 5}',
        '{"id": ""}',
        "[" * 9_999,
        '{"id": "e"}',
        f'{{"id": "{"e" * 999}"}}',
    ]
    records = [{"messageId": f"m-{n}", "body": body} for n, body in enumerate(bodies)]
    process_batch({"Records": records}, parse=refuse, use_case=judge, rejections=rejections)
    ids = [kept.event_id for kept in rejections.stored]
    assert ids[0] == "sha256:e3b0c44298fc1c14"
    assert len(set(ids[:5])) == 5
    assert ids[5:] == ["e", "e" * 250]
    assert {len(kept.reason) for kept in rejections.stored} == {1_024}
