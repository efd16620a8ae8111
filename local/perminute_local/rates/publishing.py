"""Rate cards in their bucket: which one is in force, what another changes, and publishing it.

Rates are compared by leg type and prefix, as of an instant and as of each later one at which a row
begins. What a row priced before that instant is history, which no new card has to repeat.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from botocore.exceptions import ClientError

from perminute.adapters.rate_card_bucket import POINTER_KEY, Pointer, pointer_key
from perminute.domain.errors import FaultyRateCard, Unavailable
from perminute.formats.compiled_rate_card import compile_rate_card, read_compiled_rate_card
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.deployment import reason
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.rate_card import Rate, RateCard


class Condition(TypedDict, total=False):
    """A precondition of `PutObject`, in AWS's words."""

    IfMatch: str
    IfNoneMatch: str


_MOVED = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
"""S3 says of a pointer that is another one, is being written just now, or was deleted."""


class InForce(NamedTuple):
    """What is in force in a bucket: its card, or why that cannot be read."""

    # Of the pointer. Without a pointer everything is None; one that may not be read has a problem.
    etag: str | None
    version: str | None = None
    card: RateCard | None = None
    problem: str | None = None

    @property
    def condition(self) -> Condition:
        """Return by what S3 writes the pointer only if it is still this one."""
        if self.etag is not None:
            return {"IfMatch": self.etag}
        return {"IfNoneMatch": "*"} if self.problem is None else {}


class PointerMoved(Exception):  # noqa: N818 - what happened, and no malfunction
    """Another pointer was put in force after the one that was read."""


def read_in_force(client: S3Client, bucket: str) -> InForce:
    """Read the pointer in force and its card.

    Raises:
        ClientError: AWS refuses for a reason that no other card would change.
    """
    try:
        answer = client.get_object(Bucket=bucket, Key=POINTER_KEY)
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "NoSuchKey":
                return InForce(None)
            case "AccessDenied":
                problem = f"{POINTER_KEY} cannot be read: {reason(error)}"
                return InForce(None, problem=problem)
        raise
    etag = answer["ETag"]
    try:
        pointer = Pointer.parse(answer["Body"].read())
    except ValueError as error:
        return InForce(etag, problem=f"{POINTER_KEY} cannot be read: {error}")
    try:
        content = client.get_object(Bucket=bucket, Key=pointer.csv.key)["Body"].read()
        pointer.csv.check(content)
        return InForce(etag, pointer.version, read_rate_card(content, version=pointer.version))
    except (ClientError, FaultyRateCard, Unavailable) as error:
        words = reason(error) if isinstance(error, ClientError) else str(error)
        problem = f"version {pointer.version} in {pointer.csv.key} cannot be read: {words}"
        return InForce(etag, pointer.version, problem=problem)


class PreparedCard(NamedTuple):
    """A card that is to be published, in both its forms, and its pointer."""

    card: RateCard
    content: bytes
    compiled: bytes
    pointer: Pointer

    @classmethod
    def of(cls, content: bytes, version: str) -> PreparedCard:
        """Read a card and compile it; raises `FaultyRateCard`."""
        card = read_rate_card(content, version=version)
        compiled = compile_rate_card(card.rates)
        # Functions read the compiled form only, so it must have the same rates, whatever happens.
        if _by_period(read_compiled_rate_card(compiled).rates) != _by_period(card.rates):
            msg = f"the compiled form of rate card {version} has other rates"
            raise AssertionError(msg)
        return cls(card, content, compiled, Pointer.of(version, content, compiled))


def _by_period(rates: Iterable[Rate]) -> Mapping[tuple[LegType, str, datetime | None], Rate]:
    return {(rate.leg_type, rate.prefix, rate.effective_from): rate for rate in rates}


def publish(
    client: S3Client, bucket: str, prepared: PreparedCard, *, in_force: InForce | None = None
) -> None:
    """Put the card first and the pointer in force last: no function looks for what is not there.

    Publishing that broke off in between can be done again with the same card. With `in_force` the
    pointer is written only if it is still the one that was compared.

    Raises:
        PointerMoved: it is not; the card is stored, and not in force.
    """
    store_version(client, bucket, prepared)
    condition: Condition = {} if in_force is None else in_force.condition
    put_in_force(client, bucket, POINTER_KEY, prepared.pointer.content(), condition)


def put_in_force(
    client: S3Client, bucket: str, key: str, content: bytes, condition: Condition
) -> None:
    """Write a pointer in force on a condition. Raises `PointerMoved` if it is not met."""
    try:
        client.put_object(Bucket=bucket, Key=key, Body=content, **condition)
    except ClientError as error:
        if condition and error.response["Error"]["Code"] in _MOVED:
            raise PointerMoved from error
        raise


def store_version(client: S3Client, bucket: str, prepared: PreparedCard) -> None:
    """Put a card and its own pointer, without putting it in force.

    A version is never written twice, since usage records name the version that priced them. What
    its compiled form should be is known by the CSV: another one was damaged, and is replaced.
    """
    pointer, compiled = prepared.pointer, prepared.compiled
    if not is_stored(client, bucket, pointer.csv.key, prepared.content):
        msg = f"version {pointer.version} in {bucket} is another card; give this one a new version"
        raise WrongCall(msg)
    if pointer.compiled and not is_stored(client, bucket, pointer.compiled.key, compiled):
        client.put_object(Bucket=bucket, Key=pointer.compiled.key, Body=compiled)
    body = pointer.content()
    client.put_object(Bucket=bucket, Key=pointer_key(pointer.version), Body=body)


def is_stored(client: S3Client, bucket: str, key: str, content: bytes) -> bool:
    """Return whether an object has this content: it is put unless there is one."""
    try:
        client.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        return client.get_object(Bucket=bucket, Key=key)["Body"].read() == content
    return True


MOST_GONE = 10
"""A card that lacks more than one in so many prefixes of the other is hardly meant."""

_SAMPLE_SECONDS = (1, 61, 600, 3_600)
"""Lengths of calls whose prices are compared: fees, blocks and steps show in one of them."""


class Change(StrEnum):
    """What becomes of a rate; of several at several instants the first one here is it."""

    GONE = "gone"
    UNBLOCKED = "unblocked"
    BLOCKED = "blocked"
    OTHER_CURRENCY = "otherCurrency"
    DEARER = "dearer"
    CHEAPER = "cheaper"
    ADDED = "added"


_GRAVITY = {change: number for number, change in enumerate(Change)}


class ChangedRate(NamedTuple):
    """A leg type and prefix whose price changes, and the country (of the new row, if any)."""

    leg_type: LegType
    prefix: str
    country: str | None
    change: Change


class Offer(NamedTuple):
    """That a card has a price for some number of a country, or without country for any number."""

    leg_type: LegType
    country: str | None


class Difference(NamedTuple):
    """What a card changes."""

    changed: tuple[ChangedRate, ...]
    # Leg types, and countries of the remaining leg types, without a price now.
    offers_gone: tuple[Offer, ...]
    prefixes: int  # of the card before, by leg type

    @property
    def gone(self) -> list[ChangedRate]:
        """Return the prefixes that have no row any more."""
        return [rate for rate in self.changed if rate.change is Change.GONE]

    @property
    def shrinks(self) -> bool:
        """Whether so much is gone that it is hardly meant."""
        return bool(self.offers_gone) or len(self.gone) * MOST_GONE > self.prefixes

    def counts(self) -> dict[Offer, Counter[Change]]:
        """Count the changes by leg type and country."""
        counts: defaultdict[Offer, Counter[Change]] = defaultdict(Counter)
        for rate in self.changed:
            counts[Offer(rate.leg_type, rate.country)][rate.change] += 1
        return dict(sorted(counts.items(), key=lambda item: (item[0][0], item[0][1] or "")))


def difference(before: RateCard, after: RateCard, *, at: datetime) -> Difference:
    """Compare two cards as of an instant, from which on the second one is in force."""
    old, new = _by_key(before.rates), _by_key(after.rates)
    changed = [
        ChangedRate(*key, (new.get(key) or old[key])[-1].country, change)
        for key in sorted(old.keys() | new.keys())
        for change in _changes(old.get(key, ()), new.get(key, ()), at)
    ]
    prefixes = sum(any(_lasts(rate, at) for rate in rates) for rates in old.values())
    return Difference(tuple(changed), tuple(_offers_gone(before, after, at)), prefixes)


def _by_key(rates: Iterable[Rate]) -> Mapping[tuple[LegType, str], Sequence[Rate]]:
    by_key: defaultdict[tuple[LegType, str], list[Rate]] = defaultdict(list)
    for rate in rates:
        by_key[rate.leg_type, rate.prefix].append(rate)
    return by_key


def _changes(old: Sequence[Rate], new: Sequence[Rate], at: datetime) -> Iterator[Change]:
    begin = {rate.effective_from for rate in (*old, *new) if rate.effective_from is not None}
    found = {
        _change(_in_force(old, instant), _in_force(new, instant))
        for instant in {at, *(instant for instant in begin if instant > at)}
    }
    changes = [change for change in found if change is not None]
    if changes:
        yield min(changes, key=lambda change: _GRAVITY[change])


def _change(old: Rate | None, new: Rate | None) -> Change | None:
    if old is None or new is None:
        return Change.GONE if old else Change.ADDED if new else None
    if old.blocked or new.blocked:
        if old.blocked and new.blocked:
            return None
        return Change.UNBLOCKED if old.blocked else Change.BLOCKED
    if old.currency != new.currency:
        return Change.OTHER_CURRENCY
    prices = [
        (old.quote(seconds).charge_micros, new.quote(seconds).charge_micros)
        for seconds in _SAMPLE_SECONDS
    ]
    if any(price > former for former, price in prices):
        return Change.DEARER
    return Change.CHEAPER if any(price < former for former, price in prices) else None


def _offers_gone(before: RateCard, after: RateCard, at: datetime) -> Iterator[Offer]:
    # What begins only later, in the first card, may begin at any later time in the second one.
    now = _offers(before, at) - _offers(after, at)
    later = _offers(before, at, later=True) - _offers(after, at, later=True)
    gone = now | later
    leg_types = {offer.leg_type for offer in gone if offer.country is None}
    yield from (
        offer
        for offer in sorted(gone, key=lambda offer: (offer.leg_type, offer.country or ""))
        if offer.country is None or offer.leg_type not in leg_types
    )


def _offers(card: RateCard, at: datetime, *, later: bool = False) -> set[Offer]:
    rates = [
        rate
        for rate in card.rates
        if not rate.blocked and (_lasts(rate, at) if later else rate.in_force(at))
    ]
    return {Offer(rate.leg_type, country) for rate in rates for country in (None, rate.country)}


def _lasts(rate: Rate, at: datetime) -> bool:
    return rate.effective_to is None or at < rate.effective_to


def _in_force(rates: Iterable[Rate], at: datetime) -> Rate | None:
    return next((rate for rate in rates if rate.in_force(at)), None)
