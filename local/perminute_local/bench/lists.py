"""What it takes to list calls as reports need them, beside lists that only find them again."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.json import decode, encode

from perminute.adapters.dynamodb.list_items import (
    call_list_item,
    call_list_of,
    revision_item,
    usage_list_of,
)
from perminute.application.charge_calls import CALLS_PER_BATCH
from perminute.application.recorded_calls import CALLS_PER_TRANSACTION
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.charging import charge
from perminute.domain.credit.transaction import ReplacedUsage
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.limits.spending import SpendCounters
from perminute.domain.pools.pools import MinutePools
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.bench.builders import ORGANIZATION, RATE_CARD, bought, facts
from perminute_local.bench.report import Row, best_cpu_seconds, print_result
from perminute_local.cost.units import size_of

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.credit.transaction import Transaction

NUMBERS = (1, 8, 25, CALLS_PER_BATCH)
ROUNDS = 100
BASELINE = "a list with ids, organizers, whether calls are dial-outs, and times, in the same way"
_FIRST = datetime(2026, 11, 2, 9, tzinfo=UTC)
_NUMBERS = ("+142555501", "+442079460", "+447700900", "+4930231250", "+33199001", "+8135555012")


def main() -> None:
    """Measure lists of several lengths, and the revision of as many calls as are corrected."""
    lists = [_measured(charged(number)) for number in NUMBERS]
    revision = _revised(charged(CALLS_PER_TRANSACTION))
    print_result(
        "lists of calls",
        "as many write units as without what reports read",
        [
            row
            for one in lists
            for row in (
                Row(f"bytes of a list of {one['calls']}", one["bytes"], one["narrowBytes"]),
                Row(f"its write units a call, of {one['calls']}", one["units"], one["narrowUnits"]),
            )
        ]
        + [
            Row(
                "µs to read a call of a list, for reports and for re-rating",
                lists[-1]["readMicroseconds"],
                lists[-1]["findMicroseconds"],
            )
        ],
        lists=lists,
        revision={"calls": CALLS_PER_TRANSACTION, "bytes": size_of(revision)},
        baseline=BASELINE,
    )


def _measured(transaction: Transaction) -> dict[str, float]:
    (listed,) = transaction.lists
    item, calls = call_list_item(ORGANIZATION, listed), len(listed.usages)
    narrow = {**item, "calls": _without_results(item)}
    seconds = [
        (best_cpu_seconds(lambda: usage_list_of(item), 1), _seconds_to_find(item))
        for _ in range(ROUNDS)
    ]
    read, found = map(min, zip(*seconds, strict=True))
    return {
        "calls": calls,
        "bytes": size_of(item),
        "narrowBytes": size_of(narrow),
        "units": round(_units(item) / calls, 3),
        "narrowUnits": round(_units(narrow) / calls, 3),
        "readMicroseconds": round(read / calls * 1e6, 1),
        "findMicroseconds": round(found / calls * 1e6, 1),
    }


def _seconds_to_find(item: Item) -> float:
    return best_cpu_seconds(lambda: call_list_of(item), 1)


def _units(item: Item) -> int:
    return 2 * -(-size_of(item) // 1024)


def _without_results(item: Item) -> dict[str, bytes]:
    *columns, _ = decode(zlib.decompress(item["calls"]["B"]))
    return {"B": zlib.compress(encode(columns))}


def _revised(transaction: Transaction) -> Item:
    rerated = (
        ReplacedUsage(
            usage,
            usage._replace(outcome=Outcome.INCLUDED, charge_micros=0, flags=(Flag.RERATED,)),
        )
        for usage in transaction.usages
    )
    revision = transaction._replace(usages=(), replaced=tuple(rerated)).revision
    assert revision is not None  # noqa: S101 - all of them were charged
    return revision_item(ORGANIZATION, revision)


def charged(number: int) -> Transaction:
    """Charge so many calls that ended within two minutes."""
    # Identifiers are as hard to compress as real ones, and calls as different from each other.
    rng = Random(number)  # noqa: S311 - the same calls in every run
    organizers = [str(UUID(int=rng.getrandbits(128))) for _ in range(20)]
    account = bought(Account(organization_id=ORGANIZATION)).after
    held = {license_attribute(name): True for name in ("MCOMEETACPEA", "MCOPSTNC")}
    user = Timeline(facts({"country": "DE", **held}))
    volume = Timeline(facts({"licensingProgram": "volume"}))
    licensing = Licensing(volume, dict.fromkeys(organizers, user))
    card = read_rate_card(RATE_CARD.read_bytes(), version="0123456789ab")
    context = RatingContext.of(account, licensing, card)
    calls = [_call(rng, rng.choice(organizers)) for _ in range(number)]
    return charge(
        account,
        [rate_call(call, context) for call in calls],
        pools=MinutePools({}, licensing),
        spend_counters=SpendCounters(account.days, {}),
        at=max(call.ended_at for call in calls),
    )


def _call(rng: Random, organizer_id: str) -> Call:
    ended_at = _FIRST + timedelta(seconds=rng.randrange(120))
    return Call(
        organization_id=ORGANIZATION,
        call_id=str(UUID(int=rng.getrandbits(128))),
        organizer_id=organizer_id,
        meeting_id=str(UUID(int=rng.getrandbits(128))),
        meeting_type=MeetingType.SCHEDULED,
        leg_type=rng.choice((LegType.DIAL_OUT, LegType.TOLL_DIAL_IN)),
        service_number="+493023125100",
        remote_number=f"{rng.choice(_NUMBERS)}{rng.randrange(10, 100)}",
        answered_at=ended_at - timedelta(seconds=3 + int(rng.lognormvariate(6.5, 1))),
        ended_at=ended_at,
    )


if __name__ == "__main__":
    main()
