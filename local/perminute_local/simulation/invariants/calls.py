"""Calls: what is granted before they begin, and what they cost by the whole rate card."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.application.charge_calls import EndedCall
from perminute.domain.authorization.reservations import CLOCK_SKEW, RINGING, PaidBy
from perminute.domain.credit.credit_settings import MAX_GRANT_SECONDS, FailureHandling
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Quote
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reference.licenses import product_named
from perminute.domain.values.money import parse_micros
from perminute_local.simulation.invariants.invariant import invariant, promise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import Rate, RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backends.backend import Snapshot
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.plan import CallPlaced
    from perminute_local.simulation.write_recorder import WriteRecorder

LATEST_CHARGE = timedelta(hours=100)
"""A call is charged by its reports when its `Call Ended` is so late (see `EndReported.LATE`)."""
_ENTITLING = {license_attribute(product_named(name)) for name in ("payPerMinute", "subscription")}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Stated = tuple[int | None, int, str | None]
"""Retail cost, billed seconds and currency."""


@invariant
def state_their_price(stored: Snapshot, cards: Mapping[str, RateCard]) -> Iterator[str]:
    """A call that is rated states what its card says."""
    for usage in stored.usages.values():
        price = usage.stated_price
        stated = (price.retail_micros, price.billed_seconds, price.currency)
        due = _due(usage, cards[price.rate_card_version])
        if usage.outcome is Outcome.UNRATED:
            # Its currency says why, and is all that it states.
            due = (None, 0, price.currency)
        if stated != due:
            yield f"{usage.call.call_id} states {stated}, and its card {due}"


def _due(usage: Usage, card: RateCard) -> _Stated:
    call = usage.call
    if call.leg_type is LegType.APP or call.rated_number is None:
        return 0, 0, None
    at = call.rated_at
    match card.quote(call.leg_type, call.rated_number, call.connected_seconds, at):
        case Quote(rate, billed_seconds, charge_micros):
            return charge_micros, billed_seconds, rate.currency
        case _:
            return None, 0, None


@invariant
def paid_in_own_currency(stored: Snapshot) -> Iterator[str]:
    """Credit pays in its own currency only."""
    for usage in stored.usages.values():
        currency = usage.stated_price.currency
        if usage.charge_micros and currency != stored.account.currency:
            yield f"{usage.call.call_id} is paid, and its price is in {currency}"


@invariant
def flag_masked_numbers(stored: Snapshot, cards: Mapping[str, RateCard]) -> Iterator[str]:
    """A masked number says whether its price is certain."""
    for usage in stored.usages.values():
        if usage.content_digest is None:
            is_due = bool(_others(usage.call, cards[usage.price.rate_card_version]))
        else:
            # By what is masked since, it was certain when the call was rated.
            is_due = usage.price.is_prefix_uncertain
        if is_due != (Flag.PREFIX_UNCERTAIN in usage.flags):
            yield f"{usage.call.call_id} has the flags {usage.flags}"


@invariant
def covered_at_any_price(stored: Snapshot, cards: Mapping[str, RateCard]) -> Iterator[str]:
    """A masked number is granted what covers the highest price it may have."""
    for reservation in stored.reservations:
        promised = reservation.promised
        if promised is None or reservation.answer.paid_by is not PaidBy.CREDITS:
            continue
        if reservation.reserves_minutes:
            # Credit pays this grant, but the pool paid a part of what was used before.
            continue
        seconds = reservation.used_seconds + reservation.answer.granted_seconds
        for rate in _others(reservation.call, cards[reservation.rate_card_version]):
            if rate.blocked or promised.micros < rate.quote(seconds).charge_micros:
                call_id = reservation.call.call_id
                yield f"{call_id} is granted {seconds} s, and may be {rate}"


def _others(call: Call, card: RateCard) -> list[Rate]:
    """Return the longer rows in force that the number may match, and that say something else."""
    number, at = call.rated_number, call.rated_at
    if number is None or not number.endswith("*"):
        return []
    shown = number.strip("+*")
    in_force = [rate for rate in card.rates if rate.leg_type is call.leg_type and rate.in_force(at)]
    own = [rate for rate in in_force if shown.startswith(rate.prefix)]
    priced_by = max(own, key=lambda rate: len(rate.prefix), default=None)
    return [
        rate
        for rate in in_force
        if len(shown) < len(rate.prefix) < len(number)
        and rate.prefix.startswith(shown)
        and _terms(rate) != (priced_by and _terms(priced_by))
    ]


def _terms(rate: Rate) -> tuple[object, ...]:
    price = rate.steps, rate.initial_increment_seconds, rate.connection_fee_micros, rate.currency
    return (*price, rate.country, rate.blocked)


@invariant
def lasted(body: str, event: object, snapshots: Mapping[str, Snapshot]) -> Iterator[str]:
    """A call lasts as long as all digits say."""
    if not isinstance(event, EndedCall):
        return
    detail, call = json.loads(body)["detail"], event.call
    if detail["answeredAt"] is None or "billableSeconds" in detail:
        return
    exact = _exactly(detail["endedAt"]) - _exactly(detail["answeredAt"])
    recorded = snapshots[call.organization_id].usages[call.call_id].call.connected_seconds
    if recorded != ceil(exact):
        yield f"{call.call_id} lasted {float(exact)} s, and is recorded with {recorded} s"


def _exactly(instant: str) -> Fraction:
    """Return an instant in seconds, with all of its digits."""
    whole, _, digits = instant.removesuffix("Z").partition(".")
    at = datetime.fromisoformat(f"{whole}+00:00")
    return Fraction(f"{(at - _EPOCH) // timedelta(seconds=1)}.{digits or '0'}")


@invariant
def charged_as_reported(
    recorder: WriteRecorder, snapshots: Mapping[str, Snapshot]
) -> Iterator[str]:
    """A call without an end costs what its bridge reported."""
    for organization_id, stored in snapshots.items():
        for call_id, usage in stored.usages.items():
            if not usage.reported_by_bridge:
                continue
            reports, call = recorder.reports[organization_id, call_id], usage.call
            ends = {_ended_at(usage, at) for at in reports.times}
            seconds = call.connected_seconds
            if seconds not in reports.totals or seconds == 0 or call.ended_at not in ends:
                yield (
                    f"{organization_id}: {call_id} is charged for {seconds} s until "
                    f"{call.ended_at}, but {sorted(reports.totals)} s were reported until "
                    f"{', '.join(map(str, sorted(reports.times)))}"
                )


def _ended_at(usage: Usage, reported_at: datetime) -> datetime:
    """Return when a call ended by a report, which may be late; it rang for a minute at most."""
    lasted = timedelta(seconds=usage.call.connected_seconds)
    earliest, latest = usage.began_at - CLOCK_SKEW, usage.began_at + RINGING
    return min(max(reported_at - lasted, earliest), latest) + lasted


@invariant
def charged_in_the_end(
    recorder: WriteRecorder, snapshots: Mapping[str, Snapshot], now: datetime
) -> Iterator[str]:
    """A call without an end costs what its bridge reported."""
    for (organization_id, call_id), reports in recorder.reports.items():
        is_due = 0 not in reports.totals and now - max(reports.times) > LATEST_CHARGE
        if is_due and call_id not in snapshots[organization_id].usages:
            seconds = sorted(reports.totals)
            yield f"{organization_id}: {seconds} s of {call_id} were never charged"


@invariant
def known_user(
    organization_id: str, user_id: str, stored: Snapshot, recorder: WriteRecorder
) -> Iterator[str]:
    """Events and the API know the same users."""
    held = {
        fact.attribute
        for known, fact in stored.facts
        if known is not None and known.lower() == user_id.lower() and fact.value is True
    }
    # Where all calls are authorized no license is ever removed. Elsewhere one may be gone by now.
    if organization_id in recorder.authorizing and held & _ENTITLING:
        yield f"{organization_id}: the API finds no license of {user_id}, who has {sorted(held)}"


_BLOCK = 60
"""The longest increment of the simulated rate cards."""

one_answer = promise("one request has one answer")
right_is_answered = promise("a right request is answered")
false_report_is_refused = promise("a false report is refused")
lapsed_grant_is_not_repeated = promise("a grant that has lapsed is not given again")
known_to_api = promise("what the API says of a call is what its bridge knows")
listed = promise("calls under way are listed")


class Answered(NamedTuple):
    """An answer to a request that was sent for the first time."""

    call_id: str
    call: CallPlaced
    request: str
    answer: Mapping[str, Any]
    accounts: Sequence[Account]
    """All that the organization's account was while it was answered."""
    at: datetime

    def broken(self) -> Iterator[Broken]:
        """Check the answer."""
        yield from _failure_handling(self)
        yield from _longest_grant(self)
        yield from _credit_before_limits(self)


@invariant
def _failure_handling(answered: Answered) -> Iterator[str]:
    """Answers carry the failureHandling in force."""
    settings = [account.settings for account in answered.accounts]
    handling = {
        setting.failure_handling if setting else FailureHandling.CLOSED for setting in settings
    }
    stated = answered.answer["failureHandling"]
    if stated not in handling:
        yield f"an answer to {answered.call_id} says {stated}"


@invariant
def _longest_grant(answered: Answered) -> Iterator[str]:
    """No grant is longer than maxGrantSeconds and a block."""
    settings = [account.settings for account in answered.accounts]
    longest = max(
        setting.max_grant_seconds if setting else MAX_GRANT_SECONDS for setting in settings
    )
    granted = answered.answer["grantedSeconds"]
    if granted > longest + _BLOCK:
        yield f"{answered.call_id} is granted {granted} s, and {longest} s are allowed"


@invariant
def _credit_before_limits(answered: Answered) -> Iterator[str]:
    """Credit that is short is named before any limit."""
    answer = answered.answer
    is_denied = answer["decision"] == "deny" and answer["limit"] is not None
    if not is_denied or answered.request != "authorize" or answered.call.draws_on_pool:
        return
    # A minute is the block of all calls that are paid by credit alone. Credit that has expired may
    # be counted, and perhaps the call is dearer in a moment.
    fee, rate = (parse_micros(answer[what]) for what in ("connectionFee", "ratePerMinute"))
    if not any(
        account.balance_micros - account.reserved.amount_at(answered.at) >= fee + rate
        for account in answered.accounts
    ):
        yield f"an answer to {answered.call_id} names {answer['limit']}, and credit is short"


@invariant
def within_grant(call_id: str, lasted: timedelta, granted_seconds: int) -> Iterator[str]:
    """A bridge that obeys stays within its grant."""
    if lasted > timedelta(seconds=granted_seconds):
        yield f"{call_id} lasted {lasted}, and was granted {granted_seconds} s until its end"
