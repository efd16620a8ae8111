"""Rate cards in S3: immutable versions, and a pointer to the one in force.

`rate-cards/current.json` says `{"version": …, "key": …}`. A function reads the pointer at most
once a minute and the card only when the version changed, so a new card needs no deployment. A
card that turns out to be faulty is refused whole, and the last good one stays in use.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from perminute.domain.errors import FaultyRateCard, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.domain.rate_card import RateCard

POINTER_KEY = "rate-cards/current.json"
MAX_AGE_SECONDS = 60
"""How long a function may go on with a card after the pointer moved."""

MAX_FORMER = 4
"""Versions that are kept besides the one in force, for calls that are re-rated."""


class Body(Protocol):
    """The stream of an S3 object."""

    def read(self) -> bytes:
        """Read it to its end."""
        ...


class S3Client(Protocol):
    """The one call of botocore's S3 client that is used here."""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Body]:  # noqa: N803 - AWS's names
        """Get an object."""
        ...


class Pointer(NamedTuple):
    """Which version of the rate card is in force, and the object that holds it."""

    version: str
    key: str

    @classmethod
    def parse(cls, content: bytes) -> Pointer:
        """Read the pointer object; `ValueError` says what is wrong with it."""
        document = json.loads(content)
        if not isinstance(document, dict) or not {"version", "key"} <= document.keys():
            msg = f"{POINTER_KEY} must be an object with version and key"
            raise ValueError(msg)
        return cls(str(document["version"]), str(document["key"]))

    def content(self) -> bytes:
        """Write the pointer object."""
        return json.dumps(self._asdict()).encode()


class S3RateCards:
    """`RateCards` over a bucket, with the card in use kept in memory."""

    def __init__(
        self,
        client: Callable[[], S3Client],
        bucket: str,
        *,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the client when it is first needed; `report` hears of a card that was refused."""
        self._make_client = client
        self._bucket = bucket
        self._report = report
        self._clock = clock
        self._client: S3Client | None = None
        self._card: RateCard | None = None
        self._looked_at = float("-inf")
        self._former: dict[str, RateCard] = {}

    def current(self) -> RateCard:
        """See `RateCards.current`."""
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
        """See `RateCards.version`: a version never changes, so the last few are kept."""
        if self._card is not None and self._card.version == version:
            return self._card
        card = self._former.pop(version, None) or self._read(f"rate-cards/{version}.csv", version)
        self._remember(card)
        return card

    def _look(self) -> RateCard:
        pointer = self._pointer()
        if self._card is not None and pointer.version == self._card.version:
            return self._card
        card = self._read(pointer.key, pointer.version)
        if self._card is not None:
            # It prices the calls that it authorized until they are charged.
            self._remember(self._card)
        return card

    def _remember(self, card: RateCard) -> None:
        """Keep a card that is not in force; the one that was asked for longest ago goes."""
        self._former[card.version] = card
        if len(self._former) > MAX_FORMER:
            del self._former[next(iter(self._former))]

    def _read(self, key: str, version: str) -> RateCard:
        # Imported where it is needed: reading a card takes long anyway, and a start must not.
        from perminute.domain.rate_card_csv import read_rate_card  # noqa: PLC0415

        try:
            return read_rate_card(self._get(key), version=version)
        except FaultyRateCard as error:
            msg = f"rate card {version} in {key} is refused: {error}"
            raise Unavailable(msg) from error

    def _pointer(self) -> Pointer:
        try:
            return Pointer.parse(self._get(POINTER_KEY))
        except ValueError as error:
            msg = f"the rate card pointer cannot be read: {error}"
            raise Unavailable(msg) from error

    def _get(self, key: str) -> bytes:
        self._client = self._client or self._make_client()
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            msg = f"s3://{self._bucket}/{key} cannot be read: {error}"
            raise Unavailable(msg) from error
