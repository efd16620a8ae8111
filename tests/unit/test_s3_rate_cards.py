from __future__ import annotations

import hashlib
import io
import ssl
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from urllib3 import HTTPResponse

from perminute.adapters import s3_rate_cards
from perminute.adapters.published_objects import PublishedObject
from perminute.adapters.rate_card_bucket import (
    POINTER_KEY,
    Pointer,
    pointer_key,
)
from perminute.adapters.s3_rate_cards import (
    MAX_AGE_SECONDS,
    MAX_WAIT_SECONDS,
    REFRESH_AFTER_SECONDS,
    Look,
    S3RateCards,
)
from perminute.domain.errors import Unavailable
from perminute.formats.compiled_rate_card import compile_rate_card
from perminute.formats.rate_card_csv import read_rate_card

if TYPE_CHECKING:
    from collections.abc import Callable

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

    def publish(self, version: str, *rows: str, is_compiled: bool = True) -> Pointer:
        content = (HEADER + "\n".join(rows)).encode()
        compiled = compile_rate_card(read_rate_card(content).rates) if is_compiled else None
        pointer = Pointer.of(version, content, compiled)
        self.objects[pointer.csv.key] = content
        if pointer.compiled is not None and compiled is not None:
            self.objects[pointer.compiled.key] = compiled
        self.objects[pointer_key(version)] = self.objects[POINTER_KEY] = pointer.content()
        return pointer


class Background(Future[Look]):
    """A look that goes on when the test says so, or while a request waits for it."""

    def __init__(self, look: Callable[[], Look], desk: Desk) -> None:
        super().__init__()
        self.look, self.desk = look, desk

    def go_on(self) -> None:
        if not self.done():
            try:
                self.set_result(self.look())
            except Unavailable as error:
                self.set_exception(error)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if timeout:
            self.desk.waited.append(timeout)
            if self.desk.is_fast:
                self.go_on()
        return super().exception(0)


@dataclass
class Desk:
    """A bucket, a clock that stands until it is moved, and what was reported."""

    bucket: Bucket = field(default_factory=Bucket)
    now: float = 0.0
    reports: list[str] = field(default_factory=list)
    is_fast: bool = True  # a look ends while a request waits for it
    looks: list[Background] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def cards(self) -> S3RateCards:
        client = cast("S3Client", self.bucket)
        return S3RateCards(
            lambda: client,
            "cards",
            report=self.reports.append,
            clock=lambda: self.now,
            in_background=self.begin,
        )

    def begin(self, look: Callable[[], Look]) -> Background:
        self.looks.append(Background(look, self))
        return self.looks[-1]


def test_a_request_in_the_first_half_minute_looks_at_nothing() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    first = cards.current()
    desk.now = REFRESH_AFTER_SECONDS - 1
    assert cards.current() is first
    assert desk.bucket.reads == [POINTER_KEY, "rate-cards/v1.compiled-1"]
    assert desk.looks == []


def test_a_new_card_is_loaded_in_the_background_and_swapped_when_it_is_ready() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    assert cards.current().version == "v1"
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    for desk.now in (REFRESH_AFTER_SECONDS, MAX_AGE_SECONDS - 1):
        assert cards.current().version == "v1"
    (look,) = desk.looks
    look.go_on()
    assert cards.current().version == "v2"
    assert desk.waited == []


def test_a_look_that_finds_the_same_card_reads_the_pointer_only() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    first = cards.current()
    for desk.now in (MAX_AGE_SECONDS, 2 * MAX_AGE_SECONDS):
        assert cards.current() is first
    assert desk.bucket.reads[2:] == [POINTER_KEY, POINTER_KEY]


def test_after_an_hour_without_a_request_the_first_one_waits_for_the_new_card() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    cards.current()
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    desk.now = 3_600
    assert cards.current().version == "v2"
    assert desk.waited == [MAX_WAIT_SECONDS]


def test_what_a_look_found_before_an_hour_without_a_request_is_looked_at_again() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    cards.current()
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    desk.now = REFRESH_AFTER_SECONDS
    assert cards.current().version == "v1"
    desk.looks[0].go_on()
    desk.bucket.publish("v3", "dialOut,49,USD,0.3")
    desk.now = 3_600
    assert cards.current().version == "v3"
    assert desk.reports == []


def test_a_look_that_failed_before_an_hour_without_a_request_is_repeated() -> None:
    """Being frozen has cut off its connection, say: nothing is wrong."""
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    cards.current()
    desk.now = REFRESH_AFTER_SECONDS
    assert cards.current().version == "v1"
    pointer = desk.bucket.objects.pop(POINTER_KEY)
    desk.looks[0].go_on()
    desk.bucket.objects[POINTER_KEY] = pointer
    desk.now = 3_600
    assert cards.current().version == "v1"
    assert (len(desk.looks), desk.reports) == (2, [])


def test_a_card_that_loads_slowly_is_waited_for_once_a_minute_and_used_when_it_is_there() -> None:
    desk = Desk(is_fast=False)
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    cards.current()
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    for desk.now in (3_600, 3_600, 3_659):
        assert cards.current().version == "v1"
    assert desk.waited == [MAX_WAIT_SECONDS]
    desk.now = 3_660
    assert cards.current().version == "v1"
    assert desk.waited == [MAX_WAIT_SECONDS] * 2
    (look,) = desk.looks
    look.go_on()
    assert cards.current().version == "v2"


def test_threads_share_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """In real threads: one loads the card, and all wait for it."""
    monkeypatch.setattr(s3_rate_cards, "MAX_WAIT_SECONDS", 30)
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    client = cast("S3Client", desk.bucket)
    cards = S3RateCards(lambda: client, "cards", report=desk.reports.append, clock=lambda: desk.now)
    found: list[str] = []

    def ask() -> None:
        found.append(cards.current().version)
        found.append(cards.version("v0").version)

    desk.bucket.publish("v0", "dialOut,49,USD,0.3")
    for version, desk.now in (("v1", 0.0), ("v2", 3_600.0)):
        desk.bucket.publish(version, "dialOut,49,USD,0.2")
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == ["v0"] * 8 + [version] * 8
        found.clear()
    assert desk.bucket.reads.count(POINTER_KEY) == 2
    assert desk.bucket.reads.count(pointer_key("v0")) == 1


def test_threads_that_wait_for_a_former_card_share_its_failure() -> None:
    """S3 may take seconds to fail: one after the other, they would outlast their invocation."""
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    assert cards.current().version == "v1"
    everybody_asks = threading.Barrier(9)
    answer = desk.bucket.get_object

    def hang(**request: str) -> dict[str, io.BytesIO]:
        everybody_asks.wait(30)
        # The others have called by now, and wait for the card, or are just about to.
        time.sleep(0.2)
        return answer(**request)

    refusals: list[str] = []

    def ask() -> None:
        with pytest.raises(Unavailable) as refused:
            cards.version("v0")
        refusals.append(str(refused.value))

    def wait_and_ask() -> None:
        everybody_asks.wait(30)
        ask()

    desk.bucket.get_object = hang  # type: ignore[method-assign] # for this test
    threads = [threading.Thread(target=target) for target in (ask, *[wait_and_ask] * 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refusals) == 9
    assert len(set(refusals)) == 1
    assert desk.bucket.reads.count(pointer_key("v0")) == 1
    # Whoever asks later has it read again.
    desk.bucket.get_object = answer  # type: ignore[method-assign] # as above
    desk.bucket.publish("v0", "dialOut,49,USD,0.3")
    assert cards.version("v0").version == "v0"


def test_a_card_of_an_older_perminute_is_read_from_its_csv() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1", is_compiled=False)
    (rate,) = desk.cards().current().rates
    assert rate.rate_micros_per_minute == 100_000
    assert desk.bucket.reads == [POINTER_KEY, "rate-cards/v1.csv"]
    assert desk.reports == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "s3://cards/rate-cards/v1.compiled-1 cannot be read: An error occurred (NoSuchKey)"),
        (b"cut off", "its SHA-256 is "),
        (b"perminute rate card 2\n0", "begins with 'perminute rate card 2', and not with"),
    ],
)
def test_without_its_compiled_form_a_card_is_read_from_its_csv_and_that_is_reported(
    content: bytes | None, why: str
) -> None:
    desk = Desk()
    pointer = desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    key = "rate-cards/v1.compiled-1"
    del desk.bucket.objects[key]
    if content is not None:
        desk.bucket.objects[key] = content
    if content is not None and content.startswith(b"perminute"):
        # Published by another perminute, say.
        other = pointer._replace(compiled=PublishedObject.of(key, content))
        desk.bucket.objects[POINTER_KEY] = other.content()
    (rate,) = desk.cards().current().rates
    assert rate.rate_micros_per_minute == 100_000
    (reported,) = desk.reports
    assert reported.startswith(f"the compiled rate card v1 in {key} is refused: {why}")
    assert reported.endswith(
        ". Publish the card once more under its version; its CSV was read instead"
    )


@pytest.mark.parametrize(
    ("key", "content", "report"),
    [
        (
            "rate-cards/v2.csv",
            b"nonsense",
            "rate card v2 in rate-cards/v2.csv is refused: its SHA-256 is "
            + hashlib.sha256(b"nonsense").hexdigest(),
        ),
        (
            POINTER_KEY,
            b'{"version": "v2", "key": "k", "digest": "' + b"0" * 64 + b'", "compiled": {}}',
            "current.json must have a key and a digest of the compiled card",
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
    desk.bucket.publish("v2", "dialOut,49,USD,0.2", is_compiled=False)
    desk.bucket.objects[key] = content
    desk.now = MAX_AGE_SECONDS
    assert cards.current().version == "v1"
    (reported,) = desk.reports
    assert report in reported
    assert reported.endswith("; going on with rate card v1")


def test_a_connection_that_breaks_while_a_card_is_read_fails_no_request() -> None:
    """An instance may be frozen in the midst of it, and botocore passes on what TLS says then."""

    class Broken:
        def read(self, _: int | None = None) -> bytes:
            raise ssl.SSLError(1, "decryption failed or bad record mac")

        def close(self) -> None:
            pass

    desk = Desk()
    desk.bucket.publish("v1", "dialOut,49,USD,0.1")
    cards = desk.cards()
    first = cards.current()

    def cut_off(**_: str) -> dict[str, Any]:
        raw: Any = HTTPResponse(cast("Any", Broken()), preload_content=False)
        return {"Body": StreamingBody(raw, 100)}

    desk.bucket.get_object = cut_off  # type: ignore[method-assign] # for this test
    desk.now += REFRESH_AFTER_SECONDS
    assert cards.current() is first
    desk.looks[-1].go_on()
    assert cards.current() is first
    assert len(desk.reports) == 1
    assert "bad record mac" in desk.reports[0]


def test_a_card_with_faults_is_refused_though_it_is_what_was_published() -> None:
    desk = Desk()
    desk.bucket.publish("v1", "dialOut,x,USD,0.1", is_compiled=False)
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
        f"version v1 of the rate card was {before.csv.digest} and is {after.csv.digest} now: "
        "publish the new card under a version of its own; going on with rate card v1"
    ]


def test_without_any_card_there_is_none_to_go_on_with() -> None:
    desk = Desk()
    with pytest.raises(Unavailable, match=r"s3://cards/rate-cards/current.json cannot be read"):
        desk.cards().current()
    desk.bucket.objects[POINTER_KEY] = Pointer(
        "v1", PublishedObject("gone.csv", "0" * 64)
    ).content()
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
    former = desk.bucket.publish("v1", "dialOut,49,USD,0.1", is_compiled=False)
    moved = PublishedObject("archive/2026/v1.csv", former.csv.digest)
    desk.bucket.objects[moved.key] = desk.bucket.objects.pop(former.csv.key)
    desk.bucket.objects[pointer_key("v1")] = former._replace(csv=moved).content()
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    cards = desk.cards()
    assert cards.current().version == "v2"
    (rate,) = cards.version("v1").rates
    assert rate.rate_micros_per_minute == 100_000
    assert desk.bucket.reads[-2:] == [pointer_key("v1"), moved.key]


def test_a_former_card_that_is_not_what_was_published_prices_nothing() -> None:
    desk = Desk()
    former = desk.bucket.publish("v1", "dialOut,49,USD,0.1", is_compiled=False)
    desk.bucket.publish("v2", "dialOut,49,USD,0.2")
    desk.bucket.objects[former.csv.key] += b"\ndialOut,44,USD,0.1"
    with pytest.raises(Unavailable, match=f"rate card v1 .* and {former.csv.digest} was published"):
        desk.cards().version("v1")
    desk.bucket.objects[pointer_key("v1")] = desk.bucket.objects[pointer_key("v2")]
    with pytest.raises(Unavailable, match="is the pointer to version v2, and not to v1"):
        desk.cards().version("v1")


def test_former_cards_are_few_and_small_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_rate_cards, "MAX_FORMER_PREFIXES", 3)
    desk = Desk()
    rows = [f"dialOut,{prefix},USD,0.1" for prefix in (49, 44, 39, 33)]
    for version, prefixes in (("large", 4), ("two", 2), ("one", 1), ("another", 1)):
        desk.bucket.publish(version, *rows[:prefixes])
    cards = desk.cards()
    assert cards.current().version == "another"

    def is_read(version: str) -> bool:
        before = len(desk.bucket.reads)
        assert cards.version(version).version == version
        return len(desk.bucket.reads) > before

    assert [is_read(version) for version in ("two", "one", "two", "one")] == [
        True,
        True,
        False,
        False,
    ]
    # A card that is too large by itself is there until another one is needed.
    assert [is_read(version) for version in ("large", "large", "one", "two", "large")] == [
        True,
        False,
        True,
        True,
        True,
    ]
