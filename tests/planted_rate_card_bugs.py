"""Bugs of how functions read rate cards, to see that the simulator finds them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from perminute.adapters import s3_rate_cards
from perminute.adapters.published_objects import PublishedObject
from perminute.adapters.s3_rate_cards import S3RateCards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perminute.adapters.rate_card_bucket import ReadCard
    from perminute.adapters.s3_rate_cards import Look

IN_FORCE = "a new rate card is in force within a minute"


@contextmanager
def noticing_a_card_and_never_using_it() -> Iterator[None]:
    """A new card is loaded, and requests go on with the one before."""
    take = S3RateCards._take  # noqa: SLF001

    def noticed(cards: S3RateCards, look: Look, before: ReadCard | None) -> ReadCard:
        return take(cards, look._replace(found=before or look.found), before)

    with patch.object(S3RateCards, "_take", noticed):
        yield


@contextmanager
def waiting_for_no_card() -> Iterator[None]:
    """The first request after an hour uses the card of an hour ago."""
    with patch.object(s3_rate_cards, "MAX_WAIT_SECONDS", 0):
        yield


@contextmanager
def using_a_card_whatever_its_digest() -> Iterator[None]:
    """A compiled form that was written over is taken for the one that was published."""
    with patch.object(PublishedObject, "check", lambda *_: None):
        yield


RATE_CARD_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    noticing_a_card_and_never_using_it: IN_FORCE,
    waiting_for_no_card: IN_FORCE,
    using_a_card_whatever_its_digest: "each call costs what the rules say",
}
"""Each bug with the promise that it breaks."""
