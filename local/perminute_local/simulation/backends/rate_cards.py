"""The bucket of rate cards in memory, and the cards that each instance of a function reads of it.

Instances read and swap cards by the code that runs in AWS. What goes on beside a request there is
done here when a later request asks for it. Every fourth card is loaded too slowly for the first
request that waits for it, and of every second card the compiled form is written over.
"""

from __future__ import annotations

import io
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from perminute.adapters.s3_rate_cards import Look, S3RateCards
from perminute.domain.errors import Unavailable
from perminute_local.rates.publishing import PreparedCard, publish, store_version
from perminute_local.simulation.invariants.invariant import promise

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from perminute.domain.rating.rate_card import RateCard
    from perminute_local.simulation.write_recorder import WriteRecorder

_BUCKET = "rate-cards"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_SOON = timedelta(minutes=2)
"""A minute, and what invocations that overtake each other differ by."""
_SLOW, _DAMAGED = 4, 2

_in_force_soon = promise("a new rate card is in force within a minute")


class InMemoryBucket:
    """As much of S3 as publishing and reading rate cards need."""

    def __init__(self) -> None:
        """Make it empty."""
        self.objects: dict[str, bytes] = {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - AWS's names
        """Return an object."""
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, f"GetObject in {Bucket}")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803 - AWS's names
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        IfNoneMatch: str = "",  # noqa: N803
    ) -> None:
        """Write an object, perhaps only if there is none."""
        if IfNoneMatch and Key in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, f"PutObject in {Bucket}")
        self.objects[Key] = Body


class SimulatedRateCards:
    """What was published, and when."""

    def __init__(self, card: tuple[bytes, str], recorder: WriteRecorder) -> None:
        """Publish the first card."""
        self.bucket = InMemoryBucket()
        self.client = cast("S3Client", self.bucket)
        self.looks = 0
        self._recorder = recorder
        self._compiled = b""
        self._published: list[tuple[str, datetime]] = []
        self.publish(*card)

    def publish(self, content: bytes, version: str) -> None:
        """Put a card in force."""
        prepared = PreparedCard.of(content, version)
        publish(self.client, _BUCKET, prepared)
        self._published.append((version, self._recorder.clock()))
        compiled = prepared.pointer.compiled
        if compiled is not None and len(self._published) % _DAMAGED == 0:
            self.bucket.objects[compiled.key] = self._compiled
        self._compiled = prepared.compiled

    def store_version(self, content: bytes, version: str) -> None:
        """Store a card without putting it in force."""
        store_version(self.client, _BUCKET, PreparedCard.of(content, version))

    def start(self) -> S3RateCards:
        """Return the cards of another instance of a function."""
        return _CardsOfInstance(self)

    def seconds(self) -> float:
        """Return the time of the world."""
        return (self._recorder.clock() - _EPOCH) / _SECOND

    def check_in_force(self, version: str) -> None:
        """Record a broken promise if a card is used long after another one replaced it."""
        versions = [published for published, _ in self._published]
        following = self._published[versions.index(version) + 1 :]
        if following and self._recorder.clock() > following[0][1] + _SOON:
            message = f"{version} is used: {following[0][0]} was put in force at {following[0][1]}"
            self._recorder.broken += _in_force_soon(message)


def at_once(look: Callable[[], Look]) -> Future[Look]:
    """Let a look end before the request that begins it goes on."""
    future: Future[Look] = Future()
    _end(future, look)
    return future


def _end(future: Future[Look], look: Callable[[], Look]) -> None:
    try:
        future.set_result(look())
    except Unavailable as error:
        future.set_exception(error)


class _LookInTurns(Future[Look]):
    # Ends when a request waits for it, or when a second one asks for it.
    def __init__(self, look: Callable[[], Look], cards: _CardsOfInstance, *, is_slow: bool) -> None:
        super().__init__()
        self._look, self._cards, self._is_slow = look, cards, is_slow
        self._is_begun = False

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if self._is_begun or (timeout and not self._is_slow):
            _end(self, self._look)
        elif timeout:
            self._cards.is_late = True
        self._is_begun = True
        return super().exception(0)


class _CardsOfInstance(S3RateCards):
    def __init__(self, cards: SimulatedRateCards) -> None:
        super().__init__(
            lambda: cards.client,
            _BUCKET,
            report=lambda _: None,
            clock=cards.seconds,
            in_background=self._begin,
        )
        self._cards = cards
        self.is_late = False

    def current(self) -> RateCard:
        self.is_late = False
        card = super().current()
        if not self.is_late:
            self._cards.check_in_force(card.version)
        return card

    def _begin(self, look: Callable[[], Look]) -> Future[Look]:
        self._cards.looks += 1
        return _LookInTurns(look, self, is_slow=self._cards.looks % _SLOW == 0)
