"""`license-advice`: which subscriptions would cost least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from perminute.api.reports.documents import ReportDocument
from perminute.api.reports.endpoint import report
from perminute.api.reports.parameters import RequestedMoment
from perminute.api.values import Count, Money
from perminute.application.reporting.license_advice import AdviceQuestion, read_license_advice
from perminute.domain.advice.advice import AdviceConfidence, RemarkKind
from perminute.domain.advice.basis import Holding
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import instant_text
from perminute.fields import Amount, Message, about

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader
    from perminute.domain.advice.advice import Advice, Remark
    from perminute.domain.pools.pools import Month


class LicenseAdviceQuery(Message, frozen=True, kw_only=True):
    """What a subscription costs, and which months count; amounts are those of a month."""

    price: Annotated[
        Amount,
        about(
            "The monthly price of a subscription that is sold alone, in the currency of the credit."
        ),
    ]
    months: Annotated[int, Meta(ge=1, le=12, description="How many complete UTC months count.")] = 3
    minimum_saving: Annotated[
        Amount, about("A change that saves less in a month is not recommended.")
    ] = 0
    contracted_until: Annotated[
        RequestedMoment | None,
        about("The renewal of the subscriptions that are sold alone: until then they are paid."),
    ] = None


class RecommendationDocument(Message, frozen=True, kw_only=True):
    """Another license for a user."""

    user: str
    before: Holding = field(name="from")
    after: Holding = field(name="to")
    saves: Annotated[
        Money, about("The mean saving of a month, if all other changes are made, too.")
    ]
    months_agreeing: Annotated[Count, about("In how many months it would have saved anything.")]


class AdvisedPoolDocument(Message, frozen=True, kw_only=True):
    """The minute pool of a month with the best subscriptions."""

    month: Annotated[str | UnsetType, about("UTC.")] = UNSET
    minutes: Count
    wanted: Annotated[Count, about("The minutes that calls would draw if the pool had enough.")]


class RemarkDocument(Message, frozen=True, kw_only=True):
    """Something to know in addition to the recommendations."""

    remark: RemarkKind
    user: str | UnsetType = UNSET
    number: Annotated[Count | UnsetType, about("The number of calls or of licenses.")] = UNSET
    saves: Annotated[Money | UnsetType, about("In the mean of the months.")] = UNSET
    renewal: str | UnsetType = UNSET


class LicenseAdviceDocument(ReportDocument, frozen=True, kw_only=True):
    """License advice; all fields are null or empty if no complete month has a call."""

    status: Literal["ok", "notEnoughData"]
    currency: str | None
    price: Money
    months: Annotated[
        tuple[str, ...], about("The UTC months that count, from the first with a call.")
    ]
    current: Annotated[
        Money | None,
        about("What calls and subscriptions cost in a month with the current licenses."),
    ] = None
    best: Annotated[
        Money | None, about("What they would cost in a month with the recommended licenses.")
    ] = None
    saving: Annotated[
        Money | None, about("How much less the recommended licenses cost in a month.")
    ] = None
    subscribers: Annotated[
        tuple[str, ...],
        about("The users with a subscription in the best set, alone or in a suite."),
    ] = ()
    recommendations: Annotated[
        tuple[RecommendationDocument, ...], about("The recommendations, in the order of users.")
    ] = ()
    pool: tuple[AdvisedPoolDocument, ...] = ()
    confidence: Annotated[
        AdviceConfidence | None, about("How certain the recommendations are; null without any.")
    ] = None
    remarks: tuple[RemarkDocument, ...] = ()
    is_exact: Annotated[bool | None, about("Whether all sets of users were compared.")] = None


@report("license-advice", LicenseAdviceQuery, LicenseAdviceDocument)
def answer(
    reader: ReportReader, target: ReportTarget, query: LicenseAdviceQuery
) -> LicenseAdviceDocument:
    """Find the subscriptions that would have cost least in the last months."""
    renewal = query.contracted_until and query.contracted_until.at
    question = AdviceQuestion(
        months=query.months,
        price_micros=query.price,
        minimum_saving_micros=query.minimum_saving,
        contracted_until=renewal,
    )
    account, months, advice = read_license_advice(
        reader, target.organization_id, target.at, target.deadline, question
    )
    return LicenseAdviceDocument(
        as_of=target.as_of(account.version),
        status="notEnoughData" if advice is None else "ok",
        currency=account.currency,
        price=format_micros(query.price),
        months=tuple(map(str, months)),
        **({} if advice is None else advice_fields(advice, months, renewal)),
    )


def advice_fields(
    advice: Advice, months: Sequence[Month] = (), renewal: datetime | None = None
) -> dict[str, Any]:
    """Return the fields of the document that contain the advice; `months` are null if not known."""

    def mean(micros: int) -> Money:
        return format_micros(advice.mean(micros))

    names: list[str | UnsetType] = [str(month) for month in months] or [UNSET] * advice.months
    return {
        "current": mean(advice.current_micros),
        "best": mean(advice.best_micros),
        "saving": mean(advice.current_micros - advice.best_micros),
        "subscribers": advice.subscribers,
        "recommendations": tuple(
            RecommendationDocument(
                user=recommendation.user_id,
                before=recommendation.before,
                after=recommendation.after,
                saves=mean(recommendation.saves_micros),
                months_agreeing=recommendation.months_agreeing,
            )
            for recommendation in advice.recommendations
        ),
        "pool": tuple(
            AdvisedPoolDocument(month=name, minutes=pool.minutes, wanted=pool.wanted)
            for name, pool in zip(names, advice.pool, strict=True)
        ),
        "confidence": advice.confidence,
        "remarks": tuple(_remark(advice, remark, renewal) for remark in advice.remarks),
        "is_exact": advice.is_exact,
    }


def _remark(advice: Advice, remark: Remark, renewal: datetime | None) -> RemarkDocument:
    saves_micros = remark.saves_micros
    is_renewal = remark.kind is RemarkKind.AT_RENEWAL
    return RemarkDocument(
        remark=remark.kind,
        user=UNSET if remark.user_id is None else remark.user_id,
        number=UNSET if remark.number is None else remark.number,
        saves=UNSET if saves_micros is None else format_micros(advice.mean(saves_micros)),
        renewal=(is_renewal and instant_text(renewal)) or UNSET,
    )
