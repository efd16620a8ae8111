"""An explanation of a charge in plain sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.rating.calls import LegType, MeetingType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag, Free, Outcome
from perminute.domain.reference.licenses import License
from perminute.domain.reporting.explanation import Pending
from perminute.domain.values.money import format_micros
from perminute.domain.values.printable import counted, one_line, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.domain.rating.usage_record import Price, Usage
    from perminute.domain.reporting.explanation import Explanation, LicenseInForce, Movement
    from perminute.domain.reporting.postings import ListedUsage

LICENSE_NAMES = {
    License.PAY_PER_MINUTE: "pay-per-minute",
    License.SUBSCRIPTION: "subscription",
    License.COMMUNICATIONS_CREDITS: "communications credits",
}
_UNMET = {
    NotEntitled.NOT_VOLUME_LICENSING: "the organization did not buy through volume licensing",
    NotEntitled.CREDITS_NOT_SET_UP: "the organization's credit was not set up yet",
    NotEntitled.COUNTRY_NOT_AVAILABLE: "the organizer's usage location {country}",
    NotEntitled.NO_CREDITS_LICENSE: "the organizer had no communications-credits license",
}
_FREE = {
    Free.APP_JOIN: "Joining with the app is free.",
    Free.NOT_ANSWERED: "It was never connected, so it is free.",
    Free.AD_HOC_MEETING: "Calls of ad-hoc meetings are free.",
}
_CAUSES = {
    "event": "event {}",
    "change": "change {}",
    "purchase": "purchase {}",
    "adjustment": "adjustment {}",
    "rates": "rate card {}, by which it was to be rated",
    "pool": "the minute pool of {}, which was settled",
}
_FIELDS = {"retail_micros": "retailCost", "rate_micros_per_minute": "ratePerMinute"}


def field_name(field: str) -> str:
    """Return a field of a record by its name in answers, such as `listed.retailCost`."""
    prefix, dot, name = field.rpartition(".")
    first, *others = name.removesuffix("_micros").split("_")
    camel = first + "".join(map(str.capitalize, others))
    return f"{prefix}{dot}{_FIELDS.get(name, camel)}"


def sentences(explanation: Explanation, number: str | None) -> list[str]:
    """Write an explanation; `number` is the one that sets the price, as it may be shown.

    Times are UTC. Names from outside can neither end a line nor hide what follows them.
    """
    return [
        one_line(sentence)
        for sentence in (
            _call(explanation.usage, number),
            *_entitlement(explanation),
            *_price(explanation),
            *_pool(explanation),
            *_charge(explanation),
            *map(_movement, explanation.movements),
            *_doubts(explanation),
        )
        if sentence
    ]


def _call(usage: Usage, number: str | None) -> str:
    call = usage.call
    kind = "an ad-hoc" if call.meeting_type is MeetingType.AD_HOC else "a scheduled"
    meeting = f"{kind} meeting of {call.organizer_id}"
    match call.leg_type:
        case LegType.DIAL_OUT:
            how = f"A call to {number} was made from {meeting}"
        case LegType.TOLL_DIAL_IN:
            how = f"Somebody called the toll number {number} to join {meeting}"
        case LegType.TOLL_FREE_DIAL_IN:
            how = f"Somebody called the toll-free number {number} to join {meeting}"
        case LegType.APP:
            how = f"Somebody joined {meeting} with the app"
        case never:
            assert_never(never)
    if call.answered_at is None:
        return f"{how}; it was not answered, and ended on {_second(call.ended_at)}."
    minutes, seconds = divmod(call.connected_seconds, 60)
    stated = "" if call.billable_seconds is None else ", as the operator stated"
    answered = _second(call.answered_at)
    return (
        f"{how}; it was answered on {answered} and connected for {minutes} min {seconds} s{stated}."
    )


def _entitlement(explanation: Explanation) -> Iterator[str]:
    usage = explanation.usage
    if isinstance(usage.reason, Free):
        yield _FREE[usage.reason]
        return
    held = [_license(license_, usage) for license_ in explanation.licenses]
    organizer = usage.call.organizer_id
    ended_at = usage.call.ended_at
    is_late = any(one.in_force.issued_at > ended_at for one in explanation.licenses)
    counts = " What was in force then counts, whenever it became known." if is_late else ""
    licenses = _listed(held) or "no license that counts"
    yield f"When it was answered, {organizer} had {licenses}.{counts}"
    if usage.outcome is Outcome.INCLUDED:
        yield "The subscription includes calls to toll numbers: nothing is charged."
    if usage.outcome is Outcome.NOT_ENTITLED:
        yield from _not_entitled(explanation)
    yield from _policy(explanation)


def _license(held: LicenseInForce, usage: Usage) -> str:
    product, brings, in_force = held
    since = f"since {_minute(in_force.since)}"
    if in_force.issued_at > usage.call.ended_at:
        since += f", known only since {_minute(in_force.issued_at)}, by {in_force.event_id}"
    return f"{product} ({LICENSE_NAMES[brings]}, {since})"


def _not_entitled(explanation: Explanation) -> Iterator[str]:
    country = explanation.country
    known = "was not known" if country is None else f"({country}) is not served"
    for rule, met in explanation.derivation.rules:
        unmet = (why for why, is_met in zip(rule.conditions, met, strict=True) if not is_met)
        if why := "; ".join(_UNMET[reason].format(country=known) for reason in unmet):
            yield f"The {LICENSE_NAMES[rule.license]} license does not cover it: {why}."
    what = "the rest" if explanation.usage.pool_minutes else "it"
    yield f"No license covers {what}, so nothing is charged, and admins are notified."


def _policy(explanation: Explanation) -> Iterator[str]:
    flag, policy = explanation.usage.policy_flag, explanation.policy
    if flag is None or policy is None:
        return
    whose = "the organizer" if policy.of_organizer else "the organization"
    yield (
        f"The policy of {whose} ({policy.attribute}: {_value(policy.in_force.value)}) does not "
        "allow such a call. It took place all the same, so it is flagged, and treated like others."
    )


def _price(explanation: Explanation) -> Iterator[str]:
    usage, price = explanation.usage, explanation.usage.price
    card = f"rate card {price.rate_card_version}"
    if usage.outcome is Outcome.UNRATED:
        yield _unrated(usage, card)
    elif usage.outcome is not Outcome.FREE and price.retail_micros is not None:
        yield f"The longest matching prefix of {card} is {_rate(price)}."
        connected, billed = usage.call.connected_seconds, price.billed_seconds
        blocks = f" as {billed} s, since a block that was begun counts whole"
        rounded = "" if billed == connected else blocks
        costs = "costs" if usage.outcome is Outcome.CHARGED else "would cost"
        cost = f"{costs} {format_micros(price.retail_micros)} {price.currency}"
        # If the pool pays a part, the steps are those of the rest, which is stated with the pool.
        is_split = usage.outcome is Outcome.CHARGED and usage.pool_minutes
        steps = "" if is_split else _steps(explanation)
        are = "is" if connected == 1 else "are"
        yield f"{connected} s {are} billed{rounded}. This {cost}{steps}."
        if price.is_prefix_uncertain:
            yield "The masked digits of the number may hide a longer prefix with another price."


def _rate(price: Price) -> str:
    country = f" ({price.country})" if price.country else ""
    fee_micros = price.connection_fee_micros
    fee = (
        f"and a connection fee of {format_micros(fee_micros)}"
        if fee_micros
        else "no connection fee"
    )
    per_minute = format_micros(price.rate_micros_per_minute or 0)
    return f"+{price.prefix}{country}: {per_minute} {price.currency} a minute, {fee}"


def _unrated(usage: Usage, card: str) -> str:
    match usage.reason:
        case Unpriced.BLOCKED_NUMBER:
            why = f"{card} blocks the prefix +{usage.price.prefix}"
        case Unpriced.CURRENCY_MISMATCH:
            why = (
                f"{card} has a price only in {usage.price.currency}, which is not the currency of "
                "the credit"
            )
        case _:
            why = f"{card} has no rate for its number"
    return (
        f"It has no price: {why}. A price is never guessed, so nothing is charged, and admins are "
        "notified."
    )


def _steps(explanation: Explanation) -> str:
    steps = explanation.derivation.steps
    if len(steps) < 2 and not explanation.derivation.is_rounded:  # noqa: PLR2004 - more than one
        return ""
    parts = [
        f"{step.to_second - step.from_second} s at {format_micros(step.rate_micros_per_minute)} a "
        f"minute ({format_micros(step.amount_micros)})"
        for step in steps
    ]
    if fee_micros := explanation.usage.price.connection_fee_micros:
        parts.append(f"the connection fee ({format_micros(fee_micros)})")
    rounded = (
        "; the sum is rounded half up to a millionth" if explanation.derivation.is_rounded else ""
    )
    return f": {_listed(parts)}{rounded}"


def _pool(explanation: Explanation) -> Iterator[str]:
    usage, wanted = explanation.usage, explanation.pool_minutes_wanted
    if not usage.draws_on_pool:
        return
    drawn, pool = usage.pool_minutes, f"The minute pool of {explanation.pool_month}"
    if explanation.pool_minutes_left is None:
        all_of_it = "its minute" if drawn == 1 else f"all {drawn} minutes"
        yield (
            f"{pool} paid {all_of_it}: nothing is charged. How many minutes the pool had before is "
            "not recorded."
        )
    elif drawn:
        rest = wanted - drawn
        others = f"credit pays the other {rest}{_steps(explanation)}"
        if usage.outcome is not Outcome.CHARGED:
            others = f"the other {rest} are not covered"
        first = "minute, all that was" if drawn == 1 else f"{drawn} minutes, all that were"
        yield f"{pool} paid the first {first} left for the call; {others}."
    else:
        yield f"{pool} had nothing left for the call."


def _charge(explanation: Explanation) -> Iterator[str]:
    usage, debt_micros = explanation.usage, explanation.debt_micros
    if usage.outcome is not Outcome.CHARGED:
        return
    paid = [f"{share.purchase_id} ({format_micros(-share.amount_micros)})" for share in usage.lots]
    by = f", paid by {_listed(paid)}" if paid else ""
    yield f"Charged: {format_micros(usage.charge_micros)} {usage.price.currency}{by}."
    if debt_micros:
        rest = "The rest" if paid else "All of it"
        yield f"{rest} ({format_micros(debt_micros)}) became debt, since no credit was left."


def _movement(movement: Movement) -> str:
    before = movement.before
    if before is None:
        # The charge itself was explained before.
        return ""
    when = f" on {_minute(movement.at)}" if movement.at else ""
    entry = f", entry {movement.entry_id.lstrip('0')}" if movement.entry_id else ""
    return f"Changed{when}{_because(movement)}{entry}: before, it was {_state(before)}."


def _because(movement: Movement) -> str:
    if movement.cause is None:
        return "" if movement.entry_id else " (why is not recorded)"
    _, _, cause = movement.cause.partition("#")
    if cause == "callEnded":
        return " because its Call Ended came after its bridge's report"
    kind, _, name = cause.partition("#")
    return f" because of {_CAUSES.get(kind, f'{kind} {{}}').format(name)}"


def _state(before: ListedUsage) -> str:
    reported = " by its bridge's report" if Flag.REPORTED_BY_BRIDGE in before.flags else ""
    reason = f" ({words_of(before.reason)})" if before.reason else ""
    drawn = counted(before.pool_minutes, "minute")
    minutes = f", with {drawn} of its pool" if before.pool_minutes else ""
    match before.outcome:
        case Outcome.CHARGED:
            amount = format_micros(before.charge_micros)
            return f"charged {amount} {before.currency}{reported}{minutes}"
        case Outcome.POOLED:
            return f"paid by its minute pool{reported}{minutes}"
        case Outcome.INCLUDED:
            return f"included in the subscription{reported}"
        case Outcome.FREE:
            return f"free{reported}{reason}"
        case Outcome.NOT_ENTITLED:
            return f"not entitled{reason}, and nothing was charged{reported}{minutes}"
        case Outcome.UNRATED:
            return f"without a price{reason}, and nothing was charged{reported}{minutes}"
        case never:
            assert_never(never)


def _doubts(explanation: Explanation) -> Iterator[str]:
    if explanation.usage.reported_by_bridge:
        yield "Only its bridge has reported it until now; its Call Ended will correct it."
    if Pending.RERATING in explanation.pending:
        yield "A late change of licenses or credit is still being applied: this may change."
    if Pending.SETTLING in explanation.pending:
        yield "Its minute pool is still being settled: this may change."
    if explanation.is_faulty:
        fields = _listed(
            sorted({field_name(difference.field) for difference in explanation.differences})
        )
        yield f"Rated again from what is recorded, it differs from its record: {fields}."


def _listed(parts: Sequence[str]) -> str:
    *first, last = parts or ("",)
    return f"{', '.join(first)} and {last}" if first else last


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _second(at: datetime) -> str:
    return f"{at:%Y-%m-%d at %H:%M:%S}"
