"""The details of events and calls: random ones, wrong ones, and other spellings of the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from perminute.domain.values.times import format_instant, parse_instant
from perminute_local.simulation.plan import CallPlaced, EndReported, random_behavior
from perminute_local.simulation.workloads.workload import DAY, SECOND, Detail, ended_call, purchase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

_WITHHELD = (None, "", "anonymous", "sip:anonymous@anonymous.invalid", "104", "+1206555*****")
_NO_TEXTS = (False, 104, 493023125042.0, ["+493023125042"], {"display": "anonymous"}, "\ud83d")
"""Not texts for a JSON reader; the last one is half a surrogate pair."""

_DEARER, _BLOCKED, _CERTAIN = "+4420794601**", "+142555501**", "+493023125***"
HIDDEN_ROWS = (
    "dialOut,44207946015,GB,USD,0.90,0.15,60,60,0,,,",
    "dialOut,14255550199,US,USD,,,60,60,0,,,true",
)
"""Rows of a rate card that masked digits of the first two numbers may hide."""
_IN_FULL = {_DEARER: "+442079460155"}
"""The number with the highest price that a masked one may be."""


def spelled(rng: Random, identifier: str) -> str:
    """Return an id in random case, unless it has no `@`: then case counts."""
    if "@" not in identifier:
        return identifier
    return rng.choice((identifier, identifier.upper(), identifier.title()))


def withheld(rng: Random) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Return what systems write for a number that they do not show."""
    return rng.choice((*_WITHHELD, *_NO_TEXTS))


def unknown_fields(rng: Random) -> dict[str, Any]:
    """Return fields that no reader knows, with any content."""
    return {"callerName": rng.choice(_NO_TEXTS)}


def sometimes_masked(number: str, rng: Random) -> str:
    """Return the number, or now and then a masked one in its place."""
    masked = (_DEARER, _DEARER, _BLOCKED, _CERTAIN)
    return rng.choice(masked) if rng.randrange(6) == 0 else number


def sometimes_in_full(number: str, rng: Random) -> str:
    """Return a number as telephony reports it, which may show what the bridge had masked."""
    return _IN_FULL.get(number, number) if rng.randrange(2) else number


LAST = datetime(2026, 6, 1, tzinfo=UTC)
"""The end of every world: events ahead of the wall clock are refused."""
BEGINNINGS = (
    datetime(2024, 2, 27, 22, 50, tzinfo=UTC),
    datetime(2023, 2, 27, 9, tzinfo=UTC),
    datetime(2023, 12, 31, 22, 55, tzinfo=UTC),
    datetime(2024, 1, 30, 23, 30, tzinfo=UTC),
    datetime(2024, 3, 29, 12, tzinfo=UTC),
    datetime(2025, 6, 30, 23, 45, tzinfo=UTC),
)
NUMBERS = (
    "+493023125042",
    "+493023125042",
    "+442079460100",
    "+14255550100",
    "+37121234567",
    "+449098790100",
    "+881612345678",
    "+49151234****",
)
_PRICED_IN_EUROS = "+39061234567"
SECONDS = (0, 1, 59, 60, 61, 240, 599, 600, 601, 1_800, 3_600, 3_601, 7_199, 36_000, 86_400)
_DIGITS = (("", ""), ("", ""), ("", "8"), ("1", "9"), ("25", "25"), ("9", "1"))
"""What switches write of the answer and the end below the microsecond."""
_GRANT_SETTINGS: tuple[Detail, ...] = (
    {},
    {"failureHandling": "open"},
    {"failureHandling": "closed", "maxGrantSeconds": 120},
    {"failureHandling": "open", "maxGrantSeconds": 86_400},
)
_STAMPED = ("answeredAt", "endedAt", "purchasedAt", "expiresAt")
"""What a sender stamps by its own clock, as it does the event."""
_MOSTLY_PROMPTLY = (*(EndReported.PROMPTLY,) * 8, *EndReported)

KindAndDetail = tuple[str, Detail]


def display_name(organization_id: str) -> str:
    """Return the name of an organization, which must not be printed as it is."""
    return f"Caf\u00e9 {organization_id}\n\u202e"


def random_call_placed(
    organization_id: str, users: Sequence[str], rng: Random, rng_for: Callable[[str], Random]
) -> CallPlaced:
    """Return a call that is to be authorized."""
    return CallPlaced(
        organization_id=organization_id,
        leg_type=rng.choice(("dialOut", "dialOut", "dialOut", "tollFreeDialIn")),
        organizer_id=rng.choice(users),
        number=sometimes_masked(rng.choice(NUMBERS), rng_for("masked")),
        rings=rng.randint(0, 60),
        lasts=rng.choice(SECONDS[:10]),
        requests=rng.choice((None, None, 60, 90, 241, 600, 3_600)),
        releases=rng.random() < 2 / 3,
        end_reported=rng_for("told").choice(_MOSTLY_PROMPTLY),
        fails_open=rng.randrange(6) == 0,
        behavior=random_behavior(rng_for("manners")),
    )


def random_ended_call(  # noqa: PLR0913 - what is random, and what is not
    call_id: str,
    organizers: Sequence[str],
    seconds: int,
    ended_at: datetime,
    *,
    rng: Random,
    rng_for: Callable[[str], Random],
) -> Detail:
    """Return a call of so many seconds that nobody has authorized."""
    leg_type = rng.choice(("dialOut", "dialOut", "dialOut", "tollDialIn", "tollFreeDialIn", "app"))
    facts = {
        "organizerId": rng.choice(organizers),
        "meetingId": f"meeting-{rng.randrange(5)}",
        "meetingType": rng.choice(("scheduled",) * 9 + ("adHoc",)),
        "legType": leg_type,
    }
    call = ended_call(call_id, "", ended_at - seconds * SECOND, ended_at, **facts)
    call |= _numbers(leg_type, rng.choice(NUMBERS))
    if leg_type == "dialOut" and rng_for("euros").randrange(8) == 0:
        call["remoteNumber"] = _PRICED_IN_EUROS
    elif leg_type == "dialOut":
        call["remoteNumber"] = sometimes_masked(call["remoteNumber"], rng_for("masked"))
    elif rng_for("caller").randrange(3) == 0:
        call["remoteNumber"] = withheld(rng_for("withheld"))
    if rng_for("ignored").randrange(8) == 0:
        call |= unknown_fields(rng_for("ignored fields"))
    if rng.randrange(12) == 0:
        call["answeredAt"] = None
    elif rng.randrange(8) == 0:
        call["billableSeconds"] = max(0, seconds - 1)
    if 0 < seconds < SECONDS[-1] and call["answeredAt"]:
        answered, ended = rng_for("digits").choice(_DIGITS)
        call["answeredAt"] = _with_digits(call["answeredAt"], answered)
        call["endedAt"] = _with_digits(call["endedAt"], ended)
    return call


def bought_at(number: int, at: datetime) -> KindAndDetail:
    """Return a purchase at an instant."""
    return "Credit Purchased", purchase(f"ahead-{number}", "2", at)


def ended_at(number: int, at: datetime) -> KindAndDetail:
    """Return a call that ended at an instant."""
    user, answered_at = "user-1@contoso.example", at - timedelta(minutes=4)
    call = ended_call(f"call-{number}", user, answered_at, at, meetingId="meeting-ahead")
    return "Call Ended", {**call, "remoteNumber": NUMBERS[0]}


def random_license_change(
    users: Sequence[str], since: Detail, new_name: str, rng: Random
) -> KindAndDetail:
    """Return what an admin changes about a user or the organization."""
    user = {"userId": rng.choice(users), **since}
    license_ = rng.choice(("payPerMinute", "subscription", "communicationsCredits"))
    match rng.randrange(6):
        case 0 | 1:
            return "License Assigned", {**user, "license": license_}
        case 2:
            return "License Removed", {**user, "license": license_}
        case 3:
            licenses = {"license": "subscription", "quantity": rng.randint(0, 3), **since}
            return "Licenses Purchased", licenses
        case 4:
            changed = rng.choice(
                (
                    {"country": rng.choice(("US", "DE", "CN"))},
                    {"dialOutPolicy": rng.choice(("anyDestination", "sameCountry", "none"))},
                    {"tollFreeDialInAllowed": rng.random() < 1 / 2},
                    {"monthlySpendLimit": "5"},
                )
            )
            return "User Changed", {**user, **changed}
        case _:
            chosen = rng.choice(
                (
                    {"communicationsCreditsLicense": rng.choice(("perUser", "organization"))},
                    {"poolBasis": rng.choice(("purchased", "assigned"))},
                    {"poolMinutesPerLicense": rng.choice((12, 60))},
                    {"poolMinutesUsed": rng.choice((0, 10, 45))},
                    {"licensingProgram": rng.choice(("volume", "volume", "other"))},
                )
            )
            return "Organization Changed", {**since, **chosen, "name": new_name}


def random_settings(rng: Random, rng_for: Callable[[str], Random]) -> Detail:
    """Return the settings of an organization's credit."""
    thresholds = rng.sample(("0", "0.5", "2", "5", "10", "40"), rng.randint(0, 4))
    settings: Detail = {"currency": "USD", "lowBalanceThresholds": thresholds}
    if rng.random() < 2 / 3:
        limit = {"monthlyLimit": "60"} if rng.random() < 1 / 2 else {}
        # An admin's mistake; limited, because each cent that is bought is a lot.
        mistake = {"rechargeAmount": "0.01", "monthlyLimit": "0.12"}
        settings["autoRecharge"] = {
            "enabled": rng.random() < 4 / 5,
            "triggerAmount": rng.choice(("1", "4", "10")),
            **(
                mistake
                if rng.randrange(3) == 0
                else {"rechargeAmount": rng.choice(("2", "20")), **limit}
            ),
        }
    if rng.random() < 1 / 2:
        settings |= {"dailySpendLimit": "20", "prefixHourlySpendLimit": "6"}
        settings |= {"maxConcurrentCalls": 5}
    hours = rng_for("late").choice((None, None, 1, 24))
    if hours is not None:
        settings["lateUsageHours"] = hours
    budget = rng_for("budget").choice((None, "0.5", "5", "50"))
    if budget is not None:
        settings["monthlyBudget"] = budget
    return settings | rng_for("grants").choice(_GRANT_SETTINGS)


def nonsense(number: int, now: datetime) -> list[KindAndDetail]:
    """Return events that can never be right; the last one if its credit is kept in dollars."""
    recharge = {"enabled": False, "rechargeAmount": "1", "minimumPurchase": "50"}
    euros = {"amount": "50", "currency": "EUR", "purchasedAt": format_instant(now)}
    return [
        ("Call Ended", {"callId": f"bad-{number}"}),
        ("Call Begun", {}),
        ("Credit Adjusted", {"adjustmentId": "a", "amount": "0", "reason": "none"}),
        ("Recharge Failed", {"rechargeId": "", "reason": "expired card"}),
        ("Credits Configured", {"currency": "USD", "autoRecharge": recharge}),
        ("License Assigned", {"userId": "user-0", "license": "golden"}),
        ("User Changed", {"userId": "user-0", "effectiveAt": "yesterday"}),
        ("Credit Purchased", {"purchaseId": f"euro-{number}", **euros}),
    ]


def stamped(detail: Mapping[str, Any], skew: timedelta) -> Detail:
    """Return a detail as a sender's own clock stamps it, which may cost it some digits."""
    if not skew:
        return dict(detail)
    instants = {
        name: format_instant(parse_instant(detail[name]) + skew)
        for name in _STAMPED
        if detail.get(name) is not None
    }
    return {**detail, **instants}


def _numbers(leg_type: str, number: str) -> Detail:
    """Return who called whom: the destination sets the price, or the number dialed in to."""
    if leg_type == "dialOut":
        return {"remoteNumber": number}
    if leg_type == "app":
        return {}
    service = "+18005550199" if leg_type == "tollFreeDialIn" else "+14255550199"
    return {"serviceNumber": service, "remoteNumber": number}


def _with_digits(instant: str, digits: str) -> str:
    if not digits:
        return instant
    whole, _, micros = instant.removesuffix("Z").partition(".")
    return f"{whole}.{micros or '000000'}{digits}Z"


def jumped(now: datetime, bought_at: Sequence[datetime], rng: Random) -> datetime:
    """Return a later instant: mostly right before time alone changes something."""
    month = (now.replace(day=1) + 32 * DAY).replace(day=1)
    edges = [month.replace(hour=0, minute=0, second=0, microsecond=0)]
    if rng.randrange(4) == 0:
        edges += [at.replace(year=at.year + 1, day=min(at.day, 28)) for at in bought_at]
        edges += [at - 30 * DAY for at in edges[1:]]
    edges.append(now + rng.randint(1, 20) * DAY)
    edges.append(datetime(2024, 2, 29, tzinfo=UTC))
    ahead = [at for at in edges if now < at < LAST]
    before = rng.choice((-1, 0, 1, 30, 600, 3_600)) * SECOND
    return max(now, rng.choice(ahead) - before) if ahead else now
