"""`what-if`: recorded calls under another rate card, with other licenses or another pool."""

from __future__ import annotations

import zlib
from base64 import b64decode
from binascii import Error as NoBase64
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from perminute.api.reports.documents import ReportDocument
from perminute.api.reports.endpoint import report
from perminute.api.reports.parameters import MonthQuery, refused
from perminute.api.values import Count, Money
from perminute.application.reporting.what_if import read_what_if
from perminute.domain.advice.what_if import (
    Change,
    ComparedSums,
    OtherLicenses,
    count_outcome,
    country_of,
    organizer_of,
    summed_by,
)
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.licenses import License
from perminute.domain.values.identifiers import read_id
from perminute.domain.values.money import format_micros
from perminute.fields import Message, about
from perminute.formats.compiled_rate_card import read_compiled_rate_card
from perminute.parsing import text_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader
    from perminute.domain.advice.what_if import PoolUse
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.reporting.postings import ListedUsage

MAX_CARD_BYTES = 100_000_000
"""Of a compiled card: 300,000 prefixes take a tenth."""

NONE = "none"
LICENSE_NAMES = (*map(str, License), NONE)


class AssumedLicense(NamedTuple):
    """A license that a user is assumed to have; None: no license that decides who pays."""

    license: License | None
    user_id: str


def _read_license(text: str) -> AssumedLicense:
    name, _, user_id = text.partition(":")
    if name not in LICENSE_NAMES or not user_id:
        msg = (
            f"must be one of {', '.join(LICENSE_NAMES)}, a colon and a user's id, such as "
            "subscription:adele"
        )
        raise ValueError(msg)
    return AssumedLicense(None if name == NONE else License(name), read_id(user_id))


def _read_card(text: str) -> RateCard:
    try:
        decompressing = zlib.decompressobj(zlib.MAX_WBITS | 16)
        content = decompressing.decompress(b64decode(text, validate=True), MAX_CARD_BYTES)
        if not decompressing.eof:
            msg = "it is too large, or cut off"
            raise ValueError(msg)  # noqa: TRY301 - one sentence says what all of them must be
        return read_compiled_rate_card(content)
    except (NoBase64, UnicodeError, ValueError, zlib.error) as error:
        msg = f"must be a rate card as `perminute what-if --rates` sends it: {error}"
        raise ValueError(msg) from None


if TYPE_CHECKING:
    RequestedLicense: TypeAlias = AssumedLicense
    RequestedCard: TypeAlias = RateCard
else:
    RequestedLicense = text_type(
        _read_license,
        "license of a user",
        description="Such as subscription:adele; the user then holds no other of these.",
    )
    RequestedCard = text_type(
        _read_card, "rate card", description="Compiled, compressed by gzip, in base64."
    )


_POOL = "The minutes of the pool of this month, whatever the licenses are."


class WhatIfQuery(MonthQuery, frozen=True, kw_only=True):
    """The month, and what differs in it; everything that is not stated stays as it was."""

    pool: Annotated[int, Meta(ge=0, le=10**9, description=_POOL)] | None = None
    licenses: Annotated[
        tuple[RequestedLicense, ...], about("What users hold from the start of the month on.")
    ] = ()
    rate_card: Annotated[
        RequestedCard | None, about("Too long for a query: invoke the function.")
    ] = None


class WhatIfTotalDocument(Message, frozen=True, kw_only=True):
    """The sums over all calls."""

    charge: Money
    pool_minutes: Count
    not_entitled: Annotated[Count, about("Calls that no license covers; they are not charged.")]
    unrated: Annotated[Count, about("Calls without a price; they are not charged.")]


class WhatIfRowDocument(Message, frozen=True, kw_only=True):
    """What was charged for the calls of an organizer or a country, and what would be."""

    organizer_id: str | UnsetType = UNSET
    country: Annotated[str | UnsetType | None, about("Null: the calls have no price.")] = UNSET
    calls: Count
    recorded: Money
    what_if: Money
    difference: Annotated[Money, about("Negative if they would cost less.")]


class WhatIfPoolDocument(Message, frozen=True, kw_only=True):
    """The minute pool by the licenses at the end of the month."""

    minutes: Count
    used: Count


class WhatIfPoolsDocument(Message, frozen=True, kw_only=True):
    """The minute pool, as recorded and as it would be."""

    recorded: WhatIfPoolDocument
    what_if: WhatIfPoolDocument


class WhatIfDocument(ReportDocument, frozen=True, kw_only=True):
    """The calls that were answered in a month as they were charged, and as they would be."""

    month: str
    currency: str | None
    calls: Count
    changed_calls: Annotated[Count, about("The number of calls for which anything would differ.")]
    recorded: WhatIfTotalDocument
    what_if: WhatIfTotalDocument
    difference: Annotated[Money, about("Negative if the calls would cost less.")]
    pool: WhatIfPoolsDocument
    by_organizer: list[WhatIfRowDocument]
    by_country: list[WhatIfRowDocument]
    users_without_calls: Annotated[
        list[str], about("Known users of `licenses` of whom no call of the month counts.")
    ]
    unknown_users: Annotated[
        list[str], about("Users of `licenses` of whom nothing is recorded: check their ids.")
    ]


@report("what-if", WhatIfQuery, WhatIfDocument)
def answer(reader: ReportReader, target: ReportTarget, query: WhatIfQuery) -> WhatIfDocument:
    """Rate the calls of a month with another pool, other licenses or another rate card."""
    month = query.begun_by(target.at)
    change = Change(query.rate_card, query.pool, _other_licenses(query.licenses))
    account, users, found = read_what_if(
        reader, target.organization_id, month, change, target.deadline
    )
    calls = found.calls
    organizers = set(map(organizer_of, calls))
    without_calls = sorted(user for user in change.licenses or () if user not in organizers)
    recorded = [call.recorded for call in calls]
    otherwise = [call.otherwise for call in calls]
    total = ComparedSums()
    for call in calls:
        total.add(call)
    return WhatIfDocument(
        as_of=target.as_of(account.version),
        month=str(month),
        currency=account.currency,
        calls=len(calls),
        changed_calls=sum(call.recorded != call.otherwise for call in calls),
        recorded=_total(recorded, total.recorded_micros),
        what_if=_total(otherwise, total.otherwise_micros),
        difference=format_micros(total.otherwise_micros - total.recorded_micros),
        pool=WhatIfPoolsDocument(recorded=_pool(found.recorded_pool), what_if=_pool(found.pool)),
        by_organizer=[
            WhatIfRowDocument(organizer_id=name or "", **_row(sums))
            for name, sums in summed_by(calls, organizer_of)
        ],
        by_country=[
            WhatIfRowDocument(country=name, **_row(sums))
            for name, sums in summed_by(calls, country_of)
        ],
        users_without_calls=[user for user in without_calls if user in users],
        unknown_users=[user for user in without_calls if user not in users],
    )


def _other_licenses(assumed: Iterable[AssumedLicense]) -> Mapping[str, OtherLicenses]:
    by_user: defaultdict[str, set[License | None]] = defaultdict(set)
    for license_assumed, user_id in assumed:
        by_user[user_id].add(license_assumed)
    return {user_id: _other(user_id, licenses) for user_id, licenses in by_user.items()}


def _other(user_id: str, licenses: set[License | None]) -> OtherLicenses:
    conferencing = licenses - {License.COMMUNICATIONS_CREDITS}
    if None in conferencing and len(conferencing) > 1:
        raise refused("licenses", user_id, f"has {NONE} and another one; leave out one of them")
    return OtherLicenses(
        frozenset(license_ for license_ in conferencing if license_ is not None)
        if conferencing
        else None,
        holds_credits=License.COMMUNICATIONS_CREDITS in licenses,
    )


def _total(usages: list[ListedUsage], charge_micros: int) -> WhatIfTotalDocument:
    return WhatIfTotalDocument(
        charge=format_micros(charge_micros),
        pool_minutes=sum(usage.pool_minutes for usage in usages),
        not_entitled=count_outcome(usages, Outcome.NOT_ENTITLED),
        unrated=count_outcome(usages, Outcome.UNRATED),
    )


def _row(sums: ComparedSums) -> dict[str, Any]:
    return {
        "calls": sums.calls,
        "recorded": format_micros(sums.recorded_micros),
        "what_if": format_micros(sums.otherwise_micros),
        "difference": format_micros(sums.otherwise_micros - sums.recorded_micros),
    }


def _pool(use: PoolUse) -> WhatIfPoolDocument:
    return WhatIfPoolDocument(minutes=use.minutes, used=use.used)
