"""What all answers of reports have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from perminute.api.values import Instant, Money
from perminute.domain.values.money import format_micros
from perminute.fields import Message, about

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perminute.domain.credit.lots import LotShare


class AsOf(Message, frozen=True, kw_only=True):
    """The state that a report shows."""

    at: Annotated[Instant, about("When the request arrived.")]
    version: Annotated[
        int,
        Meta(
            ge=0,
            description="The version of the account: nothing later is in the report.",
        ),
    ]


class ReportDocument(Message, frozen=True, kw_only=True):
    """A report; `as_of` is its first field (see `responses`)."""

    as_of: AsOf


class CsvDocument(ReportDocument, frozen=True, kw_only=True):
    """A report as CSV: over HTTP the body itself, in an invocation within the answer."""

    csv: str


class LinkDocument(ReportDocument, frozen=True, kw_only=True):
    """The link to a report that was stored: over HTTP a 303, in an invocation this document."""

    location: Annotated[str, about("An address that contains its own permission: keep it secret.")]
    expires_at: Annotated[Instant, about("Until when it works.")]


class ShareDocument(Message, frozen=True, kw_only=True):
    """What a movement put into the credit of one purchase; negative: what it took out of it."""

    purchase_id: str
    amount: Money


def share_documents(shares: Iterable[LotShare]) -> list[ShareDocument]:
    """Write the shares of an entry, in their order."""
    return [
        ShareDocument(purchase_id=share.purchase_id, amount=format_micros(share.amount_micros))
        for share in shares
    ]
