"""Rate the calls of a time again by another version of the rate card: a wrong card was in force.

A call stores the row that it was rated by, and every later re-rating uses that row again.
So a wrong card is corrected here and nowhere else. The preview and the booking rate and compare by
the same code. Each batch is one transaction, and its calls name the new version from then on: a
run that was interrupted is repeated, and finds only what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.correlation import caused_by
from perminute.application.recorded_calls import RecordedCalls, batches, moves
from perminute.application.retry import NEVER
from perminute.domain.credit.ledger import RERATING
from perminute.domain.pools.pools import LONGEST_CALL, MinutePools, Month
from perminute.domain.rerating.corrections import ReratedCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.rating.rating import Rating
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import ListedCall


class RateCorrection(NamedTuple):
    """Calls answered in [`since`, `until`) are to be rated by `version`; `at` is now."""

    version: str
    since: datetime
    until: datetime
    at: datetime

    @property
    def cause(self) -> str:
        """What its ledger entries name as their cause."""
        return f"{RERATING}rates#{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionTotal:
    """What a correction finds, or has booked: of one batch of calls, or of several."""

    looked_at: int = 0
    calls: int = 0  # those of `looked_at` that differ in more than the version that they name
    charge_micros: int = 0  # what all of `looked_at` cost before
    change_micros: int = 0  # how much more they cost after; negative if less
    priced: int = 0  # calls that had no price and have one now
    unpriced: int = 0  # calls that had a price and have none now
    # Months in which calls begin or cease to draw on the minute pool. What these calls and later
    # ones get of it is decided afterwards, when the pool is settled, and is not in the amounts.
    pools: frozenset[Month] = frozenset()

    def __add__(self, other: CorrectionTotal) -> CorrectionTotal:
        """Add up two batches."""
        return CorrectionTotal(
            pools=self.pools | other.pools,
            **{name: getattr(self, name) + getattr(other, name) for name in _COUNTS},
        )


_COUNTS = [counted.name for counted in fields(CorrectionTotal) if counted.name != "pools"]


def _sum_of(rerated: Sequence[ReratedCall], pools: MinutePools) -> CorrectionTotal:
    differing = [call for call in rerated if not call.is_priced_alike]
    return CorrectionTotal(
        looked_at=len(rerated),
        calls=len(differing),
        charge_micros=sum(call.before.charge_micros for call in rerated),
        change_micros=sum(call.change_micros for call in rerated),
        priced=sum(_is_priced(call.after) > _is_priced(call.before) for call in differing),
        unpriced=sum(_is_priced(call.after) < _is_priced(call.before) for call in differing),
        pools=frozenset(pool.month for pool in pools.touched),
    )


@dataclass(frozen=True, slots=True)
class CorrectRates:
    """The use case with what it needs from outside."""

    recorded: RecordedCalls

    def preview(
        self, organization_id: str, correction: RateCorrection
    ) -> Iterator[CorrectionTotal]:
        """Yield what would be booked, batch by batch; write nothing. Raises `Unavailable`."""
        for listed in self._batches(organization_id, correction):
            # Tried again while others are writing what is read, as `commit` does for a booking.
            preview = partial(self._preview, organization_id, correction, listed)
            yield self.recorded.retry.call(preview, organization_id)

    def book(self, organization_id: str, correction: RateCorrection) -> Iterator[CorrectionTotal]:
        """Book each batch, and yield what was booked. Raises `Unavailable`."""
        for listed in self._batches(organization_id, correction):
            booked: list[CorrectionTotal] = []
            decide = partial(self._booking, correction, listed, booked)
            with caused_by(f"rates#{correction.version}"):
                self.recorded.commit(organization_id, correction.at, NEVER, decide)
            # If the account was changed meanwhile, the last decision is the one that was committed.
            yield booked[-1]

    def _batches(
        self, organization_id: str, correction: RateCorrection
    ) -> Iterator[Sequence[ListedCall]]:
        # A call ends at most a call's length after it was answered, so later lists have none.
        last_day = (correction.until + LONGEST_CALL).date()
        lists = self.recorded.calls.lists(organization_id, since=correction.since)
        lists = takewhile(lambda listed: listed.day <= last_day, lists)
        found = batches(lists, lambda call: correction.since <= call.answered_at < correction.until)
        return (batch.calls for batch in found if batch.calls)

    def _preview(
        self, organization_id: str, correction: RateCorrection, listed: Sequence[ListedCall]
    ) -> CorrectionTotal:
        account = self.recorded.credit.account(organization_id)
        return _sum_of(*self._rerated(correction, listed, account))

    def _booking(
        self,
        correction: RateCorrection,
        listed: Sequence[ListedCall],
        booked: list[CorrectionTotal],
        account: Account,
        at: datetime,
    ) -> Transaction | None:
        rerated, pools = self._rerated(correction, listed, account)
        booked.append(_sum_of(rerated, pools))
        return self.recorded.corrected(account, rerated, pools, at, correction.cause)

    def _rerated(
        self, correction: RateCorrection, listed: Sequence[ListedCall], account: Account
    ) -> tuple[Sequence[ReratedCall], MinutePools]:
        rated, licensing = self.recorded.rated_again(account, listed, correction.version)
        pools = self.recorded.pools_of(account, rated, licensing)
        return [ReratedCall(usage, _again(usage, rating)) for usage, rating in rated], pools


def _again(usage: Usage, rating: Rating) -> Usage:
    again = rating.usage(usage.pool_minutes, usage.reserved_minutes)
    if not moves(usage, rating):
        return again
    # Settling rates a call by the version that its record names. So a call that moves is recorded
    # with its new price at once; its place in the pool stays as it is until the pool is settled.
    return again._replace(
        draws_on_pool=usage.draws_on_pool,
        reserved_minutes=usage.reserved_minutes,
        notifications_held=True,
    )


def _is_priced(usage: Usage) -> bool:
    return usage.stated_price.retail_micros is not None
