from __future__ import annotations

import io
import json
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError

from perminute.adapters.s3_rate_cards import (
    MAX_AGE_SECONDS,
    POINTER_KEY,
    Body,
    Pointer,
    S3RateCards,
)
from perminute.domain.errors import Unavailable

HEADER = "leg_type,prefix,currency,rate_per_minute\n"


@dataclass
class Bucket:
    objects: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Body]:  # noqa: N803 - AWS's
        self.reads.append(Key)
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, f"GetObject in {Bucket}")
        return {"Body": io.BytesIO(self.objects[Key])}

    def publish(self, version: str, *rows: str) -> None:
        pointer = Pointer(version, f"rate-cards/{version}.csv")
        self.objects[pointer.key] = (HEADER + "\n".join(rows)).encode()
        self.objects[POINTER_KEY] = pointer.content()


@dataclass
class Desk:
    """A bucket, a clock that stands until it is moved, and what was reported."""

    bucket: Bucket = field(default_factory=Bucket)
    now: float = 0.0
    reports: list[str] = field(default_factory=list)

    def cards(self) -> S3RateCards:
        return S3RateCards(
            lambda: self.bucket, "cards", report=self.reports.append, clock=lambda: self.now
        )


def test_the_card_in_use_is_kept_and_the_pointer_is_looked_at_once_a_minute() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    first = cards.current()
    desk.now = MAX_AGE_SECONDS - 1
    assert cards.current() is first
    desk.now = MAX_AGE_SECONDS
    assert cards.current() is first
    assert desk.bucket.reads == [POINTER_KEY, "rate-cards/v1.csv", POINTER_KEY]


def test_a_new_version_is_picked_up_without_a_deployment() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    assert cards.current().version == "v1"
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    desk.now = MAX_AGE_SECONDS
    assert cards.current().version == "v2"


@pytest.mark.parametrize(
    ("key", "content", "report"),
    [
        ("rate-cards/v2.csv", b"nonsense", "rate card v2 in rate-cards/v2.csv is refused: line 1"),
        (POINTER_KEY, b"nonsense", "the rate card pointer cannot be read"),
        (POINTER_KEY, b'{"version": "v2"}', "must be an object with version and key"),
    ],
)
def test_a_faulty_card_is_reported_and_the_last_good_one_stays(
    key: str, content: bytes, report: str
) -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    cards.current()
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    desk.bucket.objects[key] = content
    desk.now = MAX_AGE_SECONDS
    assert cards.current().version == "v1"
    (reported,) = desk.reports
    assert report in reported
    assert reported.endswith("; going on with rate card v1")


def test_without_any_card_there_is_none_to_go_on_with() -> None:
    desk = Desk()
    with pytest.raises(Unavailable, match=r"s3://cards/rate-cards/current.json cannot be read"):
        desk.cards().current()
    desk.bucket.objects[POINTER_KEY] = json.dumps({"version": "v1", "key": "gone.csv"}).encode()
    with pytest.raises(Unavailable, match=r"s3://cards/gone.csv cannot be read"):
        desk.cards().current()


def test_the_card_before_is_kept_for_the_calls_that_it_authorized() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    first = cards.current()
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    desk.now = MAX_AGE_SECONDS
    assert cards.current().version == "v2"
    read = list(desk.bucket.reads)
    assert cards.version("v1") is first
    assert desk.bucket.reads == read
