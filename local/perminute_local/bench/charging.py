"""CPU time of a charge in memory: everything that is decided, without a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from perminute.application.charge_calls import CALLS_PER_BATCH
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.charging import charge
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.limits.spending import SpendCounters
from perminute.domain.pools.pools import MinutePools
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.bench.builders import (
    ORGANIZATION,
    ORGANIZERS,
    RATE_CARD,
    bought,
    ended_call,
    facts,
)
from perminute_local.bench.report import Row, best_cpu_seconds, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perminute.domain.rating.calls import Call, LegType
    from perminute.domain.rating.rate_card import RateCard

NUMBERS = (1, 10, CALLS_PER_BATCH)
ROUNDS = 300
DESCRIPTION = (
    "dictionaries and decimals: prefix, license, price, lots, entry and record; no pools, limits, "
    "policies, notifications or recharges"
)
_FIRST = datetime(2026, 11, 2, 9, tzinfo=UTC)
_HELD = ("MCOMEETACPEA", "MCOPSTNC")


def main() -> None:
    """Charge transactions of these numbers of calls, in both ways."""
    card = read_rate_card(RATE_CARD.read_bytes(), version="0123456789ab")
    figures = [_measured(_calls(number), card) for number in NUMBERS]
    print_result(
        "charging",
        "a transaction of one call takes at most 80 µs of CPU, without a store",
        [
            Row(
                f"charging in memory, {figure['calls']} at once, µs a call",
                figure["microsecondsPerCall"],
                figure["naiveMicrosecondsPerCall"],
                "≤ 80" if figure["calls"] == 1 else "",
            )
            for figure in figures
        ],
        ours=figures,
        naive=DESCRIPTION,
    )


def _measured(calls: Sequence[Call], card: RateCard) -> dict[str, float]:
    ours, naive = _ours(calls, card), _naive(calls, card)
    # In turns, so that both are measured on a machine that is equally busy.
    seconds = [(best_cpu_seconds(ours, 10), best_cpu_seconds(naive, 10)) for _ in range(ROUNDS)]
    best, naive_best = map(min, zip(*seconds, strict=True))
    return {
        "calls": len(calls),
        "microsecondsPerTransaction": round(best * 1e6, 1),
        "microsecondsPerCall": round(best / len(calls) * 1e6, 1),
        "naiveMicrosecondsPerCall": round(naive_best / len(calls) * 1e6, 1),
    }


def _calls(number: int) -> list[Call]:
    return [
        ended_call(
            ORGANIZATION,
            f"b6c1a0f4-7a3e-4a5f-8f0a-{n:012d}",
            ORGANIZERS[n % len(ORGANIZERS)],
            _FIRST + timedelta(milliseconds=3 * n),
            seconds=61 + n,
        ).call
        for n in range(number)
    ]


def _ours(calls: Sequence[Call], card: RateCard) -> Callable[[], object]:
    account = bought(Account(organization_id=ORGANIZATION)).after
    user = Timeline(facts({"country": "DE", **{license_attribute(held): True for held in _HELD}}))
    organization = Timeline(facts({"licensingProgram": "volume"}))
    licensing = Licensing(organization, dict.fromkeys(ORGANIZERS, user))
    context = RatingContext.of(account, licensing, card)
    at = max(call.ended_at for call in calls)

    def work() -> object:
        return charge(
            account,
            [rate_call(call, context) for call in calls],
            pools=MinutePools({}, licensing),
            spend_counters=SpendCounters(account.days, {}),
            at=at,
        )

    return work


def _naive(calls: Sequence[Call], card: RateCard) -> Callable[[], object]:
    rates = {
        (rate.leg_type, rate.prefix): _units(rate.rate_micros_per_minute) for rate in card.rates
    }
    licenses = {user: {license_attribute(held): _FIRST for held in _HELD} for user in ORGANIZERS}

    def work() -> object:
        account = {"balance": Decimal(1000), "entries": [], "lots": [{"remaining": Decimal(1000)}]}
        return [_charge_naively(account, call, rates, licenses) for call in calls]

    return work


def _charge_naively(
    account: dict[str, Any],
    call: Call,
    rates: Mapping[tuple[LegType, str], Decimal],
    licenses: Mapping[str, Mapping[str, datetime]],
) -> dict[str, Any]:
    number, at = str(call.rated_number), call.rated_at
    prefixes = (number[1 : 1 + length] for length in range(15, 0, -1))
    prefix = next(prefix for prefix in prefixes if (call.leg_type, prefix) in rates)
    held = licenses[call.organizer_id]
    is_entitled = all(held[license_attribute(name)] <= at for name in _HELD)
    minutes = -(-(call.ended_at - at) // timedelta(minutes=1))
    price = (rates[call.leg_type, prefix] * minutes).quantize(_units(1), rounding=ROUND_HALF_UP)
    charged = left = price if is_entitled else Decimal(0)
    for lot in account["lots"]:
        taken = min(left, lot["remaining"])
        lot["remaining"] -= taken
        left -= taken
    account["balance"] -= charged
    account["entries"].append({"amount": -charged, "balance": account["balance"], "at": at})
    return {**{name: getattr(call, name) for name in call.__slots__}, "charge": charged}


def _units(micros: int) -> Decimal:
    return Decimal(micros).scaleb(-6)


if __name__ == "__main__":
    main()
