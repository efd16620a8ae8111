"""The rate cards in use: read from their bucket in the background, and swapped when ready.

A new card needs no deployment. The first card of an instance is read by the request that needs it,
every other one in the background, in a thread that starts `REFRESH_AFTER_SECONDS` after the last
look at the pointer. Lambda freezes an instance between two invocations, and the thread with it: it
goes on in the next invocation. So a request that finds the last look `MAX_AGE_SECONDS` old, perhaps
after an hour without any request, waits for the next one, for `MAX_WAIT_SECONDS` at most.

A card that cannot be read is reported, and the last good one stays in use.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.adapters.rate_card_bucket import POINTER_KEY, RateCardBucket, pointer_key
from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from mypy_boto3_s3 import S3Client

    from perminute.adapters.rate_card_bucket import ReadCard
    from perminute.domain.rating.rate_card import RateCard

REFRESH_AFTER_SECONDS = 30
"""How old a look at the pointer may be before the next one is begun in the background."""

MAX_AGE_SECONDS = 60
"""How old a look at the pointer may be before a request waits for the next one."""

MAX_WAIT_SECONDS = 1.0
"""How long a request waits, once a minute at most; then it uses the card that it has."""

MAX_FORMER = 4
"""Cards in memory besides the one in force, for calls that it did not authorize."""

MAX_FORMER_PREFIXES = 300_000
"""How many prefixes these have together, unless a single one has more: some 60 MB."""


class _FormerCards:
    # In the order of their last use: the first is removed.
    def __init__(self) -> None:
        self._cards: dict[str, RateCard] = {}
        self._lock = threading.Lock()

    def get(self, version: str) -> RateCard | None:
        with self._lock:
            card = self._cards.pop(version, None)
            if card is not None:
                self._cards[version] = card
            return card

    def add(self, card: RateCard) -> None:
        with self._lock:
            self._cards.pop(card.version, None)
            self._cards[card.version] = card
            while len(self._cards) > 1 and self._are_too_many():
                del self._cards[next(iter(self._cards))]

    def _are_too_many(self) -> bool:
        prefixes = sum(card.prefixes for card in self._cards.values())
        return len(self._cards) > MAX_FORMER or prefixes > MAX_FORMER_PREFIXES


class Look(NamedTuple):
    """What a look at the pointer found: the card in force, which may be the one in use."""

    started_at: float
    found: ReadCard


def _in_thread(look: Callable[[], Look]) -> Future[Look]:
    # Imported here to start faster: no request needs it in the first half of a minute.
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rate-card")
    try:
        return executor.submit(look)
    finally:
        executor.shutdown(wait=False)


class S3RateCards:
    """`RateCards` over a bucket, with the cards in use in memory; threads may share it."""

    def __init__(
        self,
        client: Callable[[], S3Client],
        bucket: str,
        *,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        in_background: Callable[[Callable[[], Look]], Future[Look]] = _in_thread,
    ) -> None:
        # The client is made when it is first needed. `report` gets the reason if a card, or its
        # compiled form, is refused. Not the monotonic clock, which may stand while an instance is
        # frozen.
        self._bucket = RateCardBucket(client, bucket)
        self._report = report
        self._clock = clock
        self._in_background = in_background
        self._in_use: ReadCard | None = None
        self._looked_at = self._begun_at = self._waited_at = float("-inf")
        self._under_way: Future[Look] | None = None
        self._refreshing = threading.Lock()
        self._former = _FormerCards()
        self._reading_former = threading.Lock()
        # Why each former card could not be read the last time, and how many reads had failed then.
        self._unread: dict[str, tuple[int, str]] = {}
        self._failed_reads = 0

    def current(self) -> RateCard:
        in_use = self._in_use
        if in_use is None or self._age() >= REFRESH_AFTER_SECONDS:
            # Threads that come meanwhile need what the first one waits for.
            with self._refreshing:
                in_use = self._refresh(self._in_use)
        return in_use.card

    def version(self, version: str) -> RateCard:
        in_use = self._in_use
        if in_use is not None and in_use.card.version == version:
            return in_use.card
        failed_before = self._failed_reads
        # Each card is read once, however many threads need it.
        with self._reading_former:
            card = self._former.get(version)
            if card is not None:
                return card
            # Nor is it read again for those that have waited while it could not be read: one after
            # the other they would wait for S3 until the function runs out of time.
            number, why = self._unread.get(version, (0, ""))
            if number > failed_before:
                raise Unavailable(why)
            try:
                return self._read_former(version)
            except Unavailable as error:
                self._failed_reads += 1
                self._unread[version] = self._failed_reads, str(error)
                raise

    def _read_former(self, version: str) -> RateCard:
        key = pointer_key(version)
        pointer = self._bucket.pointer(key)
        if pointer.version != version:
            msg = f"{key} is the pointer to version {pointer.version}, and not to {version}"
            raise Unavailable(msg)
        read = self._bucket.card(pointer)
        self._report_fault(read)
        self._former.add(read.card)
        return read.card

    def _refresh(self, in_use: ReadCard | None) -> ReadCard:
        if in_use is None:
            return self._take(self._look(None), None)
        # Again if a look was begun long ago: the instance was frozen before anybody took its card.
        while self._age() >= REFRESH_AFTER_SECONDS:
            if self._under_way is None:
                self._begun_at = self._clock()
                self._under_way = self._in_background(partial(self._look_twice, in_use))
            look = self._under_way
            if not self._is_done(look):
                break
            self._under_way = None
            try:
                in_use = self._take(look.result(), in_use)
            except Unavailable as error:
                self._looked_at = self._begun_at
                if self._age() < MAX_AGE_SECONDS:
                    self._report(f"{error}; going on with rate card {in_use.card.version}")
        return in_use

    def _is_done(self, look: Future[Look]) -> bool:
        now = self._clock()
        is_overdue = now - max(self._looked_at, self._waited_at) >= MAX_AGE_SECONDS
        try:
            look.exception(timeout=MAX_WAIT_SECONDS if is_overdue else 0)
        except TimeoutError:
            if is_overdue:
                self._waited_at = now
            return False
        return True

    def _take(self, look: Look, before: ReadCard | None) -> ReadCard:
        in_use = look.found
        if in_use is not before:
            self._report_fault(in_use)
            if before is not None:
                # The calls that were authorized by it are charged by it.
                self._former.add(before.card)
            self._in_use = in_use
        self._looked_at = look.started_at
        return in_use

    def _age(self) -> float:
        return self._clock() - self._looked_at

    def _report_fault(self, read: ReadCard) -> None:
        if read.fault:
            self._report(f"{read.fault}; its CSV was read instead")

    def _look_twice(self, in_use: ReadCard) -> Look:
        # In the background an instance may be frozen until S3 has given up its answer.
        try:
            return self._look(in_use)
        except Unavailable:
            return self._look(in_use)

    def _look(self, in_use: ReadCard | None) -> Look:
        started_at = self._clock()
        pointer = self._bucket.pointer(POINTER_KEY)
        if in_use is None or pointer.version != in_use.card.version:
            return Look(started_at, self._bucket.card(pointer))
        if pointer.csv.digest != in_use.digest:
            msg = (
                f"version {pointer.version} of the rate card was {in_use.digest} and is "
                f"{pointer.csv.digest} now: publish the new card under a version of its own"
            )
            raise Unavailable(msg)
        return Look(started_at, in_use)
