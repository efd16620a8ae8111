from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.adapters.memory import StoredRejections
from perminute.application.results import Accepted, Duplicate, Result
from perminute.domain.errors import Refused, Unavailable
from perminute.sqs import process_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.application.retry import Deadline
    from perminute.ports.messaging import Rejection
    from perminute.sqs import Received

VERDICTS: dict[str, Result[str]] = {
    "new": Accepted("new"),
    "old": Duplicate(),
    "conflict": Refused("callId", "conflict"),
    "later": Unavailable("the table is throttled"),
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
    assert settled.failures() == {"the table is throttled": 1}
    assert [
        (kept.event_id, kept.reason, json.loads(kept.body)["word"]) for kept in rejections.stored
    ] == [
        ("e-poison", "word: must not be poison", "poison"),
        ("e-conflict", "callId: conflict", "conflict"),
    ]


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


def test_a_refused_message_without_an_event_id_goes_by_its_fingerprint() -> None:
    rejections = StoredRejections()

    def refuse(body: str, _: Received) -> str:
        raise Refused("event", f"has {len(body)} characters" + "!" * 5_000)

    bodies = [
        "",
        "[]",
        '{"id": 5}',
        '{"id": ""}',
        "[" * 99_999,
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
