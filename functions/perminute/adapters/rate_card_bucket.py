"""The bucket of rate cards: immutable versions, each with its pointer, and the pointer in force.

A pointer names the object that contains a version as CSV, and the one that contains it in the
compiled form, each with its SHA-256. `rate-cards/pointers/<version>.json` is the pointer of a
version, and `rate-cards/current.json` a copy of the one in force. What was changed or cut off after
it was published is refused; without a sound compiled form the CSV is read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.published_objects import PublishedBucket, PublishedObject, read_pointer
from perminute.domain.errors import FaultyRateCard, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from perminute.domain.rating.rate_card import RateCard

POINTER_KEY = "rate-cards/current.json"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def pointer_key(version: str) -> str:
    return f"rate-cards/pointers/{version}.json"


class Pointer(NamedTuple):
    """A version of the rate card, and the objects that contain it."""

    version: str
    csv: PublishedObject
    # None in pointers of an older perminute, which published the CSV only.
    compiled: PublishedObject | None = None

    @classmethod
    def of(cls, version: str, content: bytes, compiled: bytes | None = None) -> Pointer:
        """Return the pointer of a card, as CSV and perhaps in the compiled form."""
        # The number of the format is a part of the key, because a version is never written twice.
        key = f"rate-cards/{version}.compiled-1"
        return cls(
            version,
            PublishedObject.of(f"rate-cards/{version}.csv", content),
            None if compiled is None else PublishedObject.of(key, compiled),
        )

    @classmethod
    def parse(cls, content: bytes) -> Pointer:
        """Read a pointer object; raises `ValueError`."""
        document = read_pointer(content)
        if not _DIGEST.fullmatch(str(document.get("digest"))):
            msg = (
                f"has no digest, so an older perminute published version {document['version']}: "
                "publish that card once more, with perminute rates publish"
            )
            raise ValueError(msg)
        compiled = document.get("compiled")
        return cls(
            str(document["version"]),
            PublishedObject.parse(document, "the card"),
            None if compiled is None else PublishedObject.parse(compiled, "the compiled card"),
        )

    def content(self) -> bytes:
        document: dict[str, Any] = {"version": self.version, **self.csv._asdict()}
        if self.compiled is not None:
            document["compiled"] = self.compiled._asdict()
        return json.dumps(document).encode()


class ReadCard(NamedTuple):
    """A card, and what was read of it."""

    card: RateCard
    digest: str  # of the CSV: another one under the same version is refused
    fault: str = ""  # why the compiled form could not be used, if it could not


class RateCardBucket:
    """Reads pointers and cards; each method raises `Unavailable`."""

    def __init__(self, make_client: Callable[[], S3Client], name: str) -> None:
        self._bucket = PublishedBucket(make_client, name)

    def pointer(self, key: str) -> Pointer:
        """Read a pointer."""
        try:
            return Pointer.parse(self._bucket.get(key))
        except ValueError as error:
            msg = f"the rate card pointer cannot be read: {key} {error}"
            raise Unavailable(msg) from error

    def card(self, pointer: Pointer) -> ReadCard:
        """Read the card that a pointer names."""
        # The parsers are imported here to start faster, and mostly one of them suffices.
        fault = ""
        if pointer.compiled is not None:
            from perminute.formats.compiled_rate_card import read_compiled_rate_card  # noqa: PLC0415

            try:
                content = self._content(pointer.compiled)
                card = read_compiled_rate_card(content, version=pointer.version)
                return ReadCard(card, pointer.csv.digest)
            except (Unavailable, ValueError) as error:
                fault = (
                    f"the compiled rate card {pointer.version} in {pointer.compiled.key} is "
                    f"refused: {error}. Publish the card once more under its version"
                )
        return ReadCard(self._csv(pointer), pointer.csv.digest, fault)

    def _csv(self, pointer: Pointer) -> RateCard:
        from perminute.formats.rate_card_csv import read_rate_card  # noqa: PLC0415

        refused = f"rate card {pointer.version} in {pointer.csv.key} is refused"
        content = self._bucket.get(pointer.csv.key)
        try:
            pointer.csv.check(content)
            return read_rate_card(content, version=pointer.version)
        except FaultyRateCard as error:
            msg = f"{refused}: {error}"
            raise Unavailable(msg) from error
        except Unavailable as error:
            msg = (
                f"{refused}: {error}. Put back what was published, or publish the right card under "
                "a new version"
            )
            raise Unavailable(msg) from error

    def _content(self, stored: PublishedObject) -> bytes:
        content = self._bucket.get(stored.key)
        stored.check(content)
        return content
