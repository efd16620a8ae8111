from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import ClientError

from perminute.adapters.s3_rate_cards import (
    MAX_AGE_SECONDS,
    POINTER_KEY,
    Pointer,
    S3RateCards,
    pointer_key,
)
from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HEADER = "leg_type,prefix,currency,rate_per_minute\n"


@dataclass
class Bucket:
    objects: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, io.BytesIO]:  # noqa: N803 - AWS's
        self.reads.append(Key)
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, f"GetObject in {Bucket}")
        return {"Body": io.BytesIO(self.objects[Key])}

    def publish(self, version: str, *rows: str, key: str | None = None) -> Pointer:
        content = (HEADER + "\n".join(rows)).encode()
        pointer = Pointer.of(version, content)
        pointer = pointer._replace(key=key or pointer.key)
        self.objects[pointer.key] = content
        self.objects[pointer_key(version)] = self.objects[POINTER_KEY] = pointer.content()
        return pointer


@dataclass
class Desk:
    """A bucket, a clock that stands until it is moved, and what was reported."""

    bucket: Bucket = field(default_factory=Bucket)
    now: float = 0.0
    reports: list[str] = field(default_factory=list)

    def cards(self) -> S3RateCards:
        client = cast("S3Client", self.bucket)
        return S3RateCards(
            lambda: client, "cards", report=self.reports.append, clock=lambda: self.now
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
        (
            "rate-cards/v2.csv",
            b"nonsense",
            "rate card v2 in rate-cards/v2.csv is refused: its SHA-256 is "
            + hashlib.sha256(b"nonsense").hexdigest(),
        ),
        (POINTER_KEY, b"nonsense", "the rate card pointer cannot be read"),
        (POINTER_KEY, b'{"version": "v2"}', "must be an object with version, key and digest"),
        (
            POINTER_KEY,
            b'{"version": "v2", "key": "rate-cards/v2.csv"}',
            "the rate card pointer cannot be read: rate-cards/current.json has no digest, so an "
            "older perminute published version v2: publish that card once more, with perminute "
            "rates publish",
        ),
        (
            POINTER_KEY,
            b'{"version": "v2", "key": "rate-cards/v2.csv", "digest": null}',
            "rate-cards/current.json has no digest",
        ),
        (
            POINTER_KEY,
            b'{"version": "v2", "key": "rate-cards/v2.csv", "digest": ""}',
            "rate-cards/current.json has no digest",
        ),
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


def test_a_card_with_faults_is_refused_though_it_is_what_was_published() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,x,USD,0.1")
    with pytest.raises(Unavailable, match=r"rate card v1 in rate-cards/v1.csv is refused: line 2"):
        desk.cards().current()


def test_a_version_that_is_published_with_another_card_is_reported() -> None:
    """A function that starts afresh would rate by that one, and the others by the one before."""
    desk = Desk()
    before = desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    first = cards.current()
    after = desk.bucket.publish("v1", "dialOut,49,USD,0.2")
    desk.now = MAX_AGE_SECONDS
    assert cards.current() is first
    assert desk.reports == [
        f"version v1 of the rate card was {before.digest} and is {after.digest} now: publish the "
        "new card under a version of its own; going on with rate card v1"
    ]


def test_without_any_card_there_is_none_to_go_on_with() -> None:
    desk = Desk()
    with pytest.raises(Unavailable, match=r"s3://cards/rate-cards/current.json cannot be read"):
        desk.cards().current()
    desk.bucket.objects[POINTER_KEY] = Pointer("v1", "gone.csv", "0" * 64).content()
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


def test_a_former_card_is_found_as_the_one_in_force_is() -> None:
    """By its pointer, wherever that says it lies: charging and re-rating read the same object."""
    desk = Desk()
    former = desk.bucket.publish("v1", "dialOut,49,USD,0.1", key="archive/2026/v1.csv")
    assert desk.cards().current().version == "v1"
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    cards = desk.cards()
    assert cards.current().version == "v2"
    (rate,) = cards.version("v1").rates
    assert rate.rate_micros_per_minute == 100_000
    assert desk.bucket.reads[-2:] == [pointer_key("v1"), former.key]


def test_a_former_card_that_is_not_what_was_published_prices_nothing() -> None:
    desk = Desk()
    former = desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    desk.bucket.objects[former.key] += b"\ndialOut,44,USD,0.1"
    with pytest.raises(Unavailable, match=f"rate card v1 .* and {former.digest} was published"):
        desk.cards().version("v1")
    desk.bucket.objects[pointer_key("v1")] = desk.bucket.objects[pointer_key("v2")]
    with pytest.raises(Unavailable, match="is the pointer to version v2, and not to v1"):
        desk.cards().version("v1")
