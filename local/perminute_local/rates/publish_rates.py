"""`perminute rates publish`: compare a card with the one in force, and put it in its place."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from perminute.domain.values.printable import counted
from perminute_local.deployment import calling_aws
from perminute_local.rates.publishing import (
    Change,
    Difference,
    InForce,
    Offer,
    PointerMoved,
    PreparedCard,
    difference,
    publish,
    read_in_force,
)
from perminute_local.rates.rate_card_warnings import card_warnings
from perminute_local.terminal import remark, write_json, write_line
from perminute_local.user_input import faults_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from perminute.adapters.rate_card_bucket import Pointer
    from perminute.domain.errors import Fault

_MOST_WARNINGS = 10
_MOST_PREFIXES = 50

_WORDS = {Change.UNBLOCKED: "no longer blocked", Change.OTHER_CURRENCY: "in another currency"}


class _Outcome(NamedTuple):
    bucket: str
    pointer: Pointer
    rates: int
    warnings: Sequence[Fault]
    in_force: InForce
    difference: Difference | None
    refusal: str | None

    def document(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "published": self.refusal is None,
            "refused": self.refusal,
            "bucket": self.bucket,
            "version": self.pointer.version,
            "key": self.pointer.csv.key,
            "rates": self.rates,
            "warnings": [warning._asdict() for warning in self.warnings],
            "inForce": self.in_force.version,
            "difference": None if self.difference is None else _document(self.difference),
        }


class Publication(NamedTuple):
    """Where a card goes, under which version, and when: what is in force `at` then is compared."""

    bucket: str
    version: str
    at: datetime
    force: bool


def publish_rates(path: Path, to: Publication, *, as_json: bool) -> int:
    """Put a checked card in force, unless too much is gone; exit code 1 if it is refused."""
    content = path.read_bytes()
    with faults_of(path):
        prepared = PreparedCard.of(content, to.version)
    card = prepared.card
    warnings = card_warnings(content, card.rates)
    with calling_aws(f"s3://{to.bucket} cannot be written"):
        client = boto3.client("s3")
        in_force = read_in_force(client, to.bucket)
        changed = None if in_force.card is None else difference(in_force.card, card, at=to.at)
        refusal = None if to.force else _refusal(in_force, changed)
        if refusal is None:
            refusal = _publish(client, to.bucket, prepared, in_force)
    rates = len(card.rates)
    outcome = _Outcome(to.bucket, prepared.pointer, rates, warnings, in_force, changed, refusal)
    _write(outcome, path, as_json=as_json)
    return 0 if refusal is None else 1


def _publish(
    client: S3Client, bucket: str, prepared: PreparedCard, in_force: InForce
) -> str | None:
    try:
        publish(client, bucket, prepared, in_force=in_force)
    except PointerMoved:
        return (
            "another card was put in force meanwhile, so this one was compared with a former one; "
            "run the command again"
        )
    return None


def _refusal(in_force: InForce, changed: Difference | None) -> str | None:
    if in_force.problem is not None:
        return (
            f"the card in force cannot be compared: {in_force.problem}. Put it right, or publish "
            "with --force without comparing"
        )
    if changed is None or not changed.shrinks:
        return None
    gone = [f"every price of {offer}" for offer in _described(changed.offers_gone)]
    counted = f"{len(changed.gone)} of {changed.prefixes} prefixes"
    return (
        f"gone against version {in_force.version}: {'; '.join([*gone, counted])}; "
        "add the rows that are missing, or publish with --force"
    )


def _described(offers: Sequence[Offer]) -> Iterator[str]:
    for leg_type, of_leg_type in groupby(offers, key=lambda offer: offer.leg_type):
        countries = [offer.country for offer in of_leg_type if offer.country is not None]
        yield f"{leg_type} to {', '.join(countries)}" if countries else leg_type


def _write(outcome: _Outcome, path: Path, *, as_json: bool) -> None:
    if as_json:
        write_json(outcome.document())
    _remark_warnings(outcome.warnings, path)
    if outcome.in_force == InForce(None):
        remark("no card is in force yet: this is the first one")
    elif outcome.difference is not None:
        _remark_difference(outcome.difference, outcome.in_force)
    if outcome.refusal is not None:
        remark(f"perminute: not published: {outcome.refusal}")
    elif not as_json:
        where = f"s3://{outcome.bucket}/{outcome.pointer.csv.key}"
        rates = counted(outcome.rates, "rate is", "rates are")
        write_line(f"{where}: {rates} in force within a minute")


def _remark_warnings(warnings: Sequence[Fault], path: Path) -> None:
    if len(warnings) > _MOST_WARNINGS:
        remark(f"{path}: {len(warnings)} warnings: perminute rates check {path} lists them")
        return
    for warning in warnings:
        remark(f"{path}:{warning.line}: warning: {warning.message}")


def _remark_difference(changed: Difference, in_force: InForce) -> None:
    counts = changed.counts()
    remark(f"compared with version {in_force.version}, which is in force:")
    if not counts:
        remark("  no rate differs")
    for (leg_type, country), of_offer in counts.items():
        parts = [
            f"{of_offer[change]} {_WORDS.get(change, change)}"
            for change in Change
            if of_offer[change]
        ]
        remark(f"  {leg_type} {country or 'without country'}: {', '.join(parts)}")
    gone = [f"{rate.leg_type} {rate.prefix}" for rate in changed.gone]
    if gone:
        more = len(gone) - _MOST_PREFIXES
        further = f" and {more} more, which --json lists" if more > 0 else ""
        remark(f"  gone: {', '.join(gone[:_MOST_PREFIXES])}{further}")


def _document(changed: Difference) -> dict[str, Any]:
    return {
        "byLegTypeAndCountry": [
            {
                "legType": leg_type,
                "country": country,
                **{change.value: of_offer[change] for change in Change},
            }
            for (leg_type, country), of_offer in changed.counts().items()
        ],
        "prefixes": changed.prefixes,
        "gone": {
            "legTypes": [offer.leg_type for offer in changed.offers_gone if offer.country is None],
            "countries": [
                {"legType": offer.leg_type, "country": offer.country}
                for offer in changed.offers_gone
                if offer.country is not None
            ],
            "prefixes": [
                {"legType": rate.leg_type, "prefix": rate.prefix, "country": rate.country}
                for rate in changed.gone
            ],
        },
    }
