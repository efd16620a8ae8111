"""What late calls and corrections have read, beside reading all that might be concerned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application import settle_pools
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.retry import RetryPolicy
from perminute.application.spend_counters import full_spend_counters
from perminute.domain.credit.transaction import Transaction
from perminute.domain.licensing.attributes import MONTHLY_SPEND_LIMIT, license_attribute
from perminute.domain.limits.spending import SpendKey, SpendKind
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.bench.builders import RATE_CARD, bought, ended_call, licensing_change
from perminute_local.bench.report import Row, print_result

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from perminute.application.charge_calls import EndedCall
    from perminute.domain.licensing.attributes import FactValue
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import CallList

ORGANIZATION, ORGANIZER = "contoso", "adele"
CALLS = 1_660
DESCRIPTION = "the rest of the month is gone over; what counts for limits is counted again"
_FIRST = datetime(2026, 11, 1, 9, tzinfo=UTC)
_APART = timedelta(minutes=25)
_EXHAUSTED_AFTER = CALLS * 9 // 10


@dataclass
class _Counted(InMemoryCalls):
    lists_read: int = 0
    usages_read: int = 0

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        for listed in super().lists(organization_id, since=since, after=after):
            self.lists_read += 1
            yield listed

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        self.usages_read += len(call_ids)
        return super().usages(organization_id, call_ids)


def main() -> None:
    """Bring one call late for its pool, which was used up before the end of the month."""
    ours = _measured()
    with patch.multiple(
        settle_pools,
        settled_where_rest_stays=lambda pool: pool,
        past_ample_days=lambda pool, *_: pool,
    ):
        naive = _measured()
    print_result(
        "late calls",
        "a late call has a few days gone over, and what it corrects has nothing counted again",
        [
            Row(
                "usages read to settle a pool after a late call",
                ours["usagesReadToSettle"],
                naive["usagesReadToSettle"],
            )
        ],
        ours=ours,
        naive=DESCRIPTION,
        naiveFigures={**naive, "listsReadForALimit": naive["listsReadForTheFirstCount"]},
    )


def _measured() -> dict[str, int]:
    store = _organization()
    calls = _Counted(store)
    parts = calls, LicensingCache(store), PublishedRateCards(_card()), RetryPolicy()
    charge = ChargeCalls(store, *parts, settles_at_once=0)
    charge([_ended(f"call-{number}", _FIRST + number * _APART) for number in range(CALLS)])
    _state(store, ORGANIZER, {MONTHLY_SPEND_LIMIT: 10**12})
    calls.lists_read = 0
    _count(store, calls)
    first_count = calls.lists_read
    charge([_ended("late", _FIRST + timedelta(days=2))])
    calls.lists_read = calls.usages_read = 0
    rerate = RerateCalls(RecordedCalls(store, *parts), store)
    while store.unsettled_months(ORGANIZATION):
        rerate([ReratingRequest(ORGANIZATION)])
    usages_read = calls.usages_read
    calls.lists_read = 0
    _count(store, calls)
    return {
        "calls": CALLS + 1,
        "corrected": sum(bool(usage.adjustments) for usage in store.usages_of(ORGANIZATION)),
        "usagesReadToSettle": usages_read,
        "listsReadForTheFirstCount": first_count,
        "listsReadForALimit": calls.lists_read,
    }


def _count(store: InMemoryStore, calls: _Counted) -> None:
    key = SpendKey(SpendKind.USER, ORGANIZER, datetime(2026, 11, 1, tzinfo=UTC))
    account = store.account(ORGANIZATION)
    spend_counters = full_spend_counters(store, calls, account, [key])
    store.commit(Transaction(before=account, after=account, spend_counters=spend_counters.touched))


def _organization() -> InMemoryStore:
    # Nine tenths of the calls use up the pool.
    store = InMemoryStore()
    held = {license_attribute(product): True for product in ("MCOMEETADV", "MCOPSTNC")}
    pool: dict[str, FactValue] = {
        "purchased:MCOMEETADV": 1,
        "poolMinutesPerLicense": _EXHAUSTED_AFTER,
    }
    users: dict[str, FactValue] = {"country": "DE", **held}
    for user, said in ((None, pool), (ORGANIZER, users)):
        _state(store, user, said)
    store.commit(bought(store.account(ORGANIZATION)))
    return store


def _state(store: InMemoryStore, user: str | None, values: Mapping[str, FactValue]) -> None:
    store.record(ORGANIZATION, [licensing_change(ORGANIZATION, user, values)])


def _card() -> RateCard:
    return read_rate_card(RATE_CARD.read_bytes(), version="0123456789ab")


def _ended(call_id: str, ended_at: datetime) -> EndedCall:
    answered_at = ended_at - timedelta(minutes=1)
    return ended_call(ORGANIZATION, call_id, ORGANIZER, answered_at, seconds=60)


if __name__ == "__main__":
    main()
