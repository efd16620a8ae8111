"""Rate cards in S3: immutable versions, each with its pointer, and the pointer in force.

A pointer is `{"version": …, "key": …, "digest": …}`: the object that contains a version, and its
SHA-256. `rate-cards/pointers/<version>.json` is the pointer of a version, and
`rate-cards/current.json` a copy of the one in force. A card that was changed or cut off after it
was published is refused.

A function reads the current pointer at most once a minute, and the card when the version changed,
so a new card needs no deployment. A faulty card is refused whole, and the last good one stays in
use.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from perminute.domain.errors import FaultyRateCard, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from perminute.domain.rating.rate_card import RateCard

POINTER_KEY = "rate-cards/current.json"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)

MAX_AGE_SECONDS = 60
"""How long a function may use a card after the pointer changed."""

MAX_FORMER = 4
"""Cards in memory besides the one in force, for calls that are re-rated."""


def pointer_key(version: str) -> str:
    return f"rate-cards/pointers/{version}.json"


class Pointer(NamedTuple):
    """A version of the rate card, its object, and the SHA-256 of that in hexadecimal."""

    version: str
    key: str
    digest: str

    @classmethod
    def of(cls, version: str, content: bytes) -> Pointer:
        return cls(version, f"rate-cards/{version}.csv", hashlib.sha256(content).hexdigest())

    @classmethod
    def parse(cls, content: bytes) -> Pointer:
        """Read a pointer object; raises `ValueError`."""
        document = json.loads(content)
        if not isinstance(document, dict) or not {"version", "key"} <= document.keys():
            msg = "must be an object with version, key and digest"
            raise ValueError(msg)
        if not _DIGEST.fullmatch(str(document.get("digest"))):
            msg = (
                f"has no digest, so an older perminute published version {document['version']}: "
                "publish that card once more, with perminute rates publish"
            )
            raise ValueError(msg)
        return cls(*(str(document[name]) for name in cls._fields))

    def check(self, content: bytes) -> None:
        """Raise `Unavailable` unless this is the card that was published."""
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.digest:
            msg = (
                f"rate card {self.version} in {self.key} is refused: its SHA-256 is {digest}, and "
                f"{self.digest} was published. Put back what was published, or publish the right "
                "card under a new version"
            )
            raise Unavailable(msg)

    def content(self) -> bytes:
        return json.dumps(self._asdict()).encode()


class S3RateCards:
    """`RateCards` over a bucket, with the cards in use in memory."""

    def __init__(
        self,
        client: Callable[[], S3Client],
        bucket: str,
        *,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # The client is made when it is first needed. `report` gets the reason if a card is refused.
        self._make_client = client
        self._bucket = bucket
        self._report = report
        self._clock = clock
        self._client: S3Client | None = None
        self._card: RateCard | None = None
        self._digest = ""
        self._looked_at = float("-inf")
        self._former: dict[str, RateCard] = {}

    def current(self) -> RateCard:
        if self._card is None or self._clock() - self._looked_at >= MAX_AGE_SECONDS:
            try:
                self._card = self._look()
            except Unavailable as error:
                if self._card is None:
                    raise
                self._report(f"{error}; going on with rate card {self._card.version}")
            self._looked_at = self._clock()
        return self._card

    def version(self, version: str) -> RateCard:
        if self._card is not None and self._card.version == version:
            return self._card
        card = self._former.pop(version, None) or self._former_card(version)
        self._remember(card)
        return card

    def _former_card(self, version: str) -> RateCard:
        key = pointer_key(version)
        pointer = self._pointer(key)
        if pointer.version != version:
            msg = f"{key} is the pointer to version {pointer.version}, and not to {version}"
            raise Unavailable(msg)
        return self._read(pointer)

    def _look(self) -> RateCard:
        pointer = self._pointer(POINTER_KEY)
        if self._card is None or pointer.version != self._card.version:
            card = self._read(pointer)
            self._digest = pointer.digest
            if self._card is not None:
                # The calls that were authorized by it are charged by it.
                self._remember(self._card)
            return card
        if pointer.digest != self._digest:
            msg = (
                f"version {pointer.version} of the rate card was {self._digest} and is "
                f"{pointer.digest} now: publish the new card under a version of its own"
            )
            raise Unavailable(msg)
        return self._card

    def _remember(self, card: RateCard) -> None:
        # In the order of last use: the first is removed.
        self._former[card.version] = card
        if len(self._former) > MAX_FORMER:
            del self._former[next(iter(self._former))]

    def _read(self, pointer: Pointer) -> RateCard:
        content = self._get(pointer.key)
        pointer.check(content)
        # Imported here to start faster: reading a card takes long anyway.
        from perminute.formats.rate_card_csv import read_rate_card  # noqa: PLC0415

        try:
            return read_rate_card(content, version=pointer.version)
        except FaultyRateCard as error:
            msg = f"rate card {pointer.version} in {pointer.key} is refused: {error}"
            raise Unavailable(msg) from error

    def _pointer(self, key: str) -> Pointer:
        try:
            return Pointer.parse(self._get(key))
        except ValueError as error:
            msg = f"the rate card pointer cannot be read: {key} {error}"
            raise Unavailable(msg) from error

    def _get(self, key: str) -> bytes:
        self._client = self._client or self._make_client()
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            msg = f"s3://{self._bucket}/{key} cannot be read: {error}"
            raise Unavailable(msg) from error
