"""License advice from figures in a file: `perminute license-advice --input FILE`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, ValidationError, convert, to_builtins
from msgspec.structs import replace

from perminute.api.reports.documents import AsOf
from perminute.api.reports.license_advice import LicenseAdviceDocument, advice_fields
from perminute.domain.advice.advice import advise
from perminute.domain.advice.basis import (
    MINUTES_PER_LICENSE,
    AdviceBasis,
    AdvisedCall,
    CallKind,
    Holding,
    LicensedUser,
    MonthOfCalls,
)
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Rate, Step
from perminute.domain.values.money import format_micros, parse_micros
from perminute.fields import Message
from perminute.parsing import read_message
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from perminute_local.reports.source import Answer, Question

_Micros = Annotated[int, Meta(ge=0, le=10**15)]
_Count = Annotated[int, Meta(ge=0, le=10**9)]

_KINDS = {
    "toll": CallKind.TOLL,
    "zoneA": CallKind.POOL,
    "tollFree": CallKind.OTHER,
    "other": CallKind.OTHER,
}


class _GivenUser(Message, frozen=True, kw_only=True):
    holds: Holding = Holding.NONE
    pay_per_minute_available: bool = True
    contracted: bool = False
    # Any date counts as contracted: whether it is past would depend on when the file is read.
    contracted_until: str | None = None


_EXAMPLE = '["adele", "toll", 12, 8500, 0]'

# User, kind, minutes, the price of a minute and the connection fee in micro-units.
_GivenCall = tuple[str, Literal["toll", "tollFree", "zoneA", "other"], _Count, _Micros, _Micros]


class _GivenMonth(Message, frozen=True, kw_only=True):
    # `_GivenCall`s in the order in which they ended: each has one reason if it is faulty.
    calls: tuple[Any, ...]


class GivenAdvice(Message, frozen=True, kw_only=True):
    """What license advice is based on."""

    price_micros: _Micros
    users: dict[str, Any]  # `_GivenUser`s by their ids
    months: tuple[_GivenMonth, ...]
    purchased: _Count = 0  # subscriptions that are sold alone
    minutes_per_license: _Count = MINUTES_PER_LICENSE
    minimum_saving_micros: _Micros = 0


def advised(given: GivenAdvice, question: Question) -> Answer:
    """Return the advice, with a price that the question states.

    Raises `Refused` and `WrongCall`.
    """
    stated = {name: one for name, one in question.parameters.items() if one is not None}
    for name in ("months", "contractedUntil"):
        if name in stated:
            option = {"months": "--months", "contractedUntil": "--contracted-until"}[name]
            msg = f"{option}: applies to recorded calls only; --input FILE states months and users"
            raise WrongCall(msg)
    return _answer(
        replace(
            given,
            price_micros=parse_micros(stated.get("price", format_micros(given.price_micros))),
            minimum_saving_micros=parse_micros(
                stated.get("minimumSaving", format_micros(given.minimum_saving_micros))
            ),
        )
    )


def _answer(given: GivenAdvice) -> Answer:
    if not given.months:
        raise Refused("months", "is empty; state the calls of at least one month")
    users = {user_id: _user(user_id, user) for user_id, user in given.users.items()}
    assigned = sum(user.holding.is_bought for user in users.values())
    basis = AdviceBasis(
        price_micros=given.price_micros,
        users=users,
        months=tuple(
            MonthOfCalls(tuple(_call(place, *call) for call in enumerate(month.calls)))
            for place, month in enumerate(given.months)
        ),
        minutes_per_license=given.minutes_per_license,
        spare=max(0, given.purchased - assigned),
        minimum_saving_micros=given.minimum_saving_micros,
    )
    # No account was read, and months have no names.
    document = LicenseAdviceDocument(
        as_of=AsOf(at="", version=0),
        status="ok",
        currency=None,
        price=format_micros(given.price_micros),
        months=(),
        **advice_fields(advise(basis)),
    )
    unknown = {"asOf", "currency", "months"}
    answer: Answer = to_builtins(document)
    return {name: value for name, value in answer.items() if name not in unknown}


def _user(user_id: str, given: object) -> LicensedUser:
    try:
        user = read_message(given, _GivenUser, called="licenses")
    except Refused as refused:
        place = f"users.{user_id}.{refused.field}"
        raise Refused(place, refused.message) from None
    return LicensedUser(
        user.holds,
        can_pay_per_minute=user.pay_per_minute_available,
        is_contracted=user.contracted or user.contracted_until is not None,
    )


def _call(month: int, number: int, given: object) -> AdvisedCall:
    try:
        user_id, kind, minutes, minute_micros, fee_micros = convert(given, _GivenCall)
    except ValidationError as error:
        fault = str(error).partition(" - ")[0]
        msg = f"must be like {_EXAMPLE}: user, kind, minutes, price of a minute and fee; {fault}"
        place = f"months.{month}.calls.{number}"
        raise Refused(place, msg) from None
    rate = rate_by_the_minute(minute_micros, fee_micros)
    seconds = minutes * SECONDS_PER_MINUTE
    call = AdvisedCall(user_id, _KINDS[kind], rate.charge_micros(seconds))
    if call.kind is CallKind.POOL:
        return call._replace(minutes=minutes, billed_seconds=seconds, rate=rate)
    return call


def rate_by_the_minute(minute_micros: int, fee_micros: int = 0) -> Rate:
    """Return a rate that prices whole minutes, in micro-units; it is in no rate card."""
    return Rate(
        leg_type=LegType.DIAL_OUT,
        prefix="",
        country=None,
        description="",
        currency="",
        connection_fee_micros=fee_micros,
        initial_increment_seconds=SECONDS_PER_MINUTE,
        steps=(Step(0, minute_micros, SECONDS_PER_MINUTE),),
        effective_from=None,
        effective_to=None,
        blocked=False,
    )
