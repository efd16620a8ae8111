"""Read what license advice is based on: the calls of complete months, and the current licenses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.application.reporting.listed_rates import read_rates
from perminute.application.reporting.usage import usages_of
from perminute.domain.advice.advice import advise
from perminute.domain.advice.basis import (
    AdviceBasis,
    AdvisedCall,
    CallKind,
    Holding,
    LicensedUser,
    MonthOfCalls,
)
from perminute.domain.licensing.attributes import LICENSES, PURCHASES, license_attribute
from perminute.domain.pools.pools import LONGEST_CALL, Month
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Unpriced
from perminute.domain.reference.countries import is_zone_a
from perminute.domain.reference.licenses import OUR_NAMES, SUBSCRIPTIONS, License
from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.postings import ListedUsage
from perminute.domain.reporting.usage_sums import UsageFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.domain.advice.advice import Advice
    from perminute.domain.credit.accounts import Account
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.rating.rate_card import Rate

_ALONE = OUR_NAMES[License.SUBSCRIPTION]
"""The subscription that is sold alone; all others are a part of a suite."""

_SUITES = frozenset(SUBSCRIPTIONS) - {_ALONE}


class AdviceQuestion(NamedTuple):
    """What is asked of an organization; amounts in micro-units for a month."""

    months: int
    price_micros: int  # of a subscription that is sold alone
    minimum_saving_micros: int = 0
    # Until then all of these that are purchased are paid, used or not.
    contracted_until: datetime | None = None


class AccountAdvice(NamedTuple):
    """The account, the months that count, and the advice that they give."""

    account: Account
    months: Sequence[Month]
    advice: Advice | None  # None without any call in a complete month


def read_license_advice(
    reader: ReportReader,
    organization_id: str,
    at: datetime,
    deadline: Deadline,
    question: AdviceQuestion,
) -> AccountAdvice:
    """Read the licenses of all users, and then the calls of the last complete months.

    Months before the first with a call are no history. Raises `Unavailable`, also if charges or
    licensing events were in the way of all attempts, or time ran out.
    """
    account, licensing = reader.all_licenses(organization_id, deadline)
    by_month = _calls_of(reader, account, _months_before(at, question.months), deadline)
    if not by_month:
        return AccountAdvice(account, (), None)
    months = [
        MonthOfCalls(tuple(calls), licensing.pool_minutes_used(month.start))
        for month, calls in by_month.items()
    ]
    organizers = {call.user_id for month in months for call in month.calls}
    basis = _basis(licensing, organizers, at, question)
    deadline.check()
    return AccountAdvice(account, list(by_month), advise(basis._replace(months=tuple(months))))


def _months_before(at: datetime, count: int) -> list[Month]:
    index = at.year * 12 + at.month - 1
    return [Month(number // 12, number % 12 + 1) for number in range(index - count, index)]


def _calls_of(
    reader: ReportReader, account: Account, months: Sequence[Month], deadline: Deadline
) -> dict[Month, list[AdvisedCall]]:
    # A call belongs to the month of its answer, as its license, its price and its pool do.
    period = Period(months[0].start, months[-1].end + LONGEST_CALL)
    listed: dict[Month, list[ListedUsage]] = {month: [] for month in months}
    for usage in usages_of(reader.postings, account, period, UsageFilter(), deadline):
        if (of_month := listed.get(Month.of(usage.answered_at))) is not None:
            of_month.append(usage)
    for month in months:
        if listed[month]:
            break
        del listed[month]
    drawing = [usage for usages in listed.values() for usage in usages if _may_draw(usage)]
    rates = read_rates(reader, account.organization_id, drawing, deadline)
    return {
        month: [_advised(usage, account, rates) for usage in sorted(usages, key=ListedUsage.by_end)]
        for month, usages in listed.items()
    }


def _may_draw(usage: ListedUsage) -> bool:
    is_blocked = usage.reason is Unpriced.BLOCKED_NUMBER
    return usage.leg_type is LegType.DIAL_OUT and is_zone_a(usage.country) and not is_blocked


def _advised(usage: ListedUsage, account: Account, rates: Mapping[str, Rate]) -> AdvisedCall:
    retail_micros = usage.retail_micros
    # A price in another currency is none: credit does not pay it.
    is_unrated = retail_micros is None or usage.currency != (account.currency or usage.currency)
    call = AdvisedCall(
        usage.organizer_id,
        CallKind.TOLL if usage.leg_type is LegType.TOLL_DIAL_IN else CallKind.OTHER,
        0 if retail_micros is None or is_unrated else retail_micros,
        is_unrated=is_unrated,
    )
    if not _may_draw(usage):
        return call
    return call._replace(
        kind=CallKind.POOL,
        minutes=-(-usage.connected_seconds // SECONDS_PER_MINUTE),
        billed_seconds=usage.billed_seconds,
        rate=None if is_unrated else rates[usage.call_id],
    )


def _basis(
    licensing: Licensing, organizers: set[str], at: datetime, question: AdviceQuestion
) -> AdviceBasis:
    is_contracted = question.contracted_until is not None and question.contracted_until > at
    users = {
        user_id: _user(licensing, user_id, at)._replace(is_contracted=is_contracted)
        for user_id in organizers.union(licensing.users)
    }
    alone = sum(user.holding.is_bought for user in users.values())
    twice = sum(user.has_spare for user in users.values())
    suites = sum(user.holding is Holding.BUNDLE for user in users.values())
    purchased = {attribute: licensing.purchased(attribute, at) for attribute in PURCHASES}
    of_suites = sum(purchased.values()) - purchased[f"purchased:{_ALONE}"]
    # What is assigned was purchased, even if no event states how many were.
    return AdviceBasis(
        price_micros=question.price_micros,
        users=users,
        months=(),
        minutes_per_license=licensing.pool_minutes_per_license(at),
        spare=max(purchased[f"purchased:{_ALONE}"], alone + twice) - alone,
        spare_bundles=max(of_suites, suites) - suites,
        counts_spare=not licensing.pool_counts_assigned(at),
        minimum_saving_micros=question.minimum_saving_micros,
    )


def _user(licensing: Licensing, user_id: str, at: datetime) -> LicensedUser:
    timeline = licensing.user(user_id)
    held = {name for name in LICENSES if timeline.value_at(name, at) is True}
    is_alone = license_attribute(_ALONE) in held
    by_the_minute = license_attribute(OUR_NAMES[License.PAY_PER_MINUTE]) in held
    has_suite = any(license_attribute(product) in held for product in _SUITES)
    if has_suite:
        holding = Holding.BUNDLE
    elif is_alone:
        holding = Holding.BOTH if by_the_minute else Holding.SUBSCRIPTION
    else:
        holding = Holding.PAY_PER_MINUTE if by_the_minute else Holding.NONE
    return LicensedUser(
        holding,
        can_pay_per_minute=licensing.allows_pay_per_minute(user_id, at),
        holds_credits=license_attribute(OUR_NAMES[License.COMMUNICATIONS_CREDITS]) in held,
        has_spare=has_suite and is_alone,
        has_unused=has_suite and by_the_minute,
    )
