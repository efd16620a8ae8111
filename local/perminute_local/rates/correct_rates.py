"""`perminute rates correct`: rate the calls of a time by another version of the rate card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.adapters.s3_rate_cards import S3RateCards
from perminute.application.correct_rates import CorrectionTotal, CorrectRates
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.retry import RetryPolicy
from perminute.domain.errors import Unavailable
from perminute.domain.values.money import format_micros
from perminute.domain.values.printable import counted, one_line
from perminute.domain.values.times import format_instant
from perminute_local.deployment import calling_aws, deployed_tables, output
from perminute_local.progress import texts_shown
from perminute_local.terminal import remark, write_json, write_lines
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.application.correct_rates import RateCorrection
    from perminute.ports.messaging import RateCards

_POOLS = (
    "{organization}: calls begin or cease to draw on the minute pool of {months}. What they and "
    "later calls get of it is settled within minutes after the booking, and is not in these figures"
)


class _Of(NamedTuple):
    organization_id: str
    currency: str | None
    corrected: CorrectionTotal

    def document(self) -> dict[str, Any]:
        """Write it as JSON."""
        one = self.corrected
        return {
            "organizationId": self.organization_id,
            "currency": self.currency,
            "calls": one.looked_at,
            "differing": one.calls,
            "priced": one.priced,
            "unpriced": one.unpriced,
            "charge": format_micros(one.charge_micros),
            "corrected": format_micros(one.charge_micros + one.change_micros),
            "difference": format_micros(one.change_micros),
            "pools": sorted(map(str, one.pools)),
        }


def run_correct_rates(
    correction: RateCorrection,
    stack_name: str,
    organizations: Sequence[str],
    *,
    book: bool,
    as_json: bool,
) -> int:
    """Show what differs, and book it if `book`; exit code 1 if an organization could not be."""
    with calling_aws(f"{stack_name} cannot be read"):
        again = _connect(stack_name)
        _check_version(again.rate_cards, correction.version, stack_name)
        chosen = list(_chosen(again, organizations))
    use_case = CorrectRates(again)
    batches = use_case.book if book else use_case.preview
    done: list[_Of] = []
    failed: dict[str, str] = {}
    with texts_shown("reading") as show:
        for organization_id, currency in chosen:
            total = CorrectionTotal()
            try:
                for corrected in batches(organization_id, correction):
                    total += corrected
                    show(f"{organization_id}: {counted(total.looked_at, 'call')}")
            except Unavailable as error:
                failed[organization_id] = str(error)
            if total.looked_at or organization_id in organizations:
                done.append(_Of(organization_id, currency, total))
    if as_json:
        document = _document(correction, done, failed, booked=book)
        write_json(document)
    else:
        write_lines(_table(done, correction.version))
    for line in _remarks(done, failed, booked=book):
        remark(line)
    return 1 if failed else 0


def _connect(stack_name: str) -> RecordedCalls:
    schema = Tables.bind(connect(), deployed_tables(stack_name))
    rate_cards = S3RateCards(
        lambda: boto3.client("s3"), output(stack_name, "RateCardBucketName"), report=remark
    )
    return RecordedCalls(
        credit=DynamoDBCreditStore(schema),
        calls=DynamoDBCalls(schema),
        licensing=LicensingCache(DynamoDBLicensingStore(schema)),
        rate_cards=rate_cards,
        retry=RetryPolicy(),
    )


def _check_version(rate_cards: RateCards, version: str, stack_name: str) -> None:
    try:
        rate_cards.version(version)
    except Unavailable as error:
        bucket = output(stack_name, "RateCardBucketName")
        msg = (
            f"--version: the rate card {version} cannot be used: {error}. Publish the right card "
            f"first: perminute rates publish FILE --bucket {bucket} --version VERSION"
        )
        raise WrongCall(msg) from error


def _chosen(again: RecordedCalls, organizations: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    # An organization without an account is most likely misspelt.
    for organization_id in sorted(set(organizations) or again.credit.organizations()):
        account = again.credit.account(organization_id)
        if account.version == 0 and organization_id in organizations:
            msg = f"{organization_id} has no account: check --organization"
            raise WrongCall(msg)
        yield organization_id, account.currency


def _document(
    correction: RateCorrection, done: Sequence[_Of], failed: dict[str, str], *, booked: bool
) -> dict[str, Any]:
    return {
        "version": correction.version,
        "from": format_instant(correction.since),
        "to": format_instant(correction.until),
        "booked": booked,
        "organizations": [one.document() for one in done],
        "failed": [{"organizationId": name, "reason": why} for name, why in failed.items()],
    }


def _table(done: Sequence[_Of], version: str) -> Iterator[str]:
    head = ("organization", "calls", "differing", "charge", version, "difference", "currency")
    rows = [head, *map(_row, done)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for first, *middle, last in rows:
        numbers = (text.rjust(width) for text, width in zip(middle, widths[1:-1], strict=True))
        yield "  ".join([first.ljust(widths[0]), *numbers, last])


def _row(one: _Of) -> tuple[str, ...]:
    document = one.document()
    names = ("organizationId", "calls", "differing", "charge", "corrected", "difference")
    # As wide as it is written, or the columns would not stand below each other.
    return (*(one_line(str(document[name])) for name in names), one.currency or "-")


def _remarks(done: Sequence[_Of], failed: dict[str, str], *, booked: bool) -> Iterator[str]:
    for organization_id, _, corrected in done:
        if corrected.pools:
            months = ", ".join(sorted(map(str, corrected.pools)))
            yield _POOLS.format(organization=organization_id, months=months)
        if corrected.priced or corrected.unpriced:
            get = counted(corrected.priced, "call gets", "calls get")
            lose = counted(corrected.unpriced, "loses its own", "lose theirs")
            yield f"{organization_id}: {get} a price, {lose}"
    for organization_id, why in failed.items():
        yield f"{organization_id}: stopped: {why}. Run the command again: it goes on from there"
    yield "booked" if booked else "nothing is booked; the same command with --yes books it"
