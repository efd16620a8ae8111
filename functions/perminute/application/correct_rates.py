"""Rate the calls of a time anew by another version of the rate card: a wrong card was in force.

A call stores the row that it was rated by, and every later re-rating uses that row again.
So a wrong card is corrected here and nowhere else. The preview and the booking rate and compare by
the same code. Each batch is one transaction, and its calls name the new version from then on: a
run that was interrupted is repeated, and finds only what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.correlation import caused_by
from perminute.application.looking_again import fit_one_transaction
from perminute.application.retry import NEVER, gave_up
from perminute.domain.credit.ledger import RERATING
from perminute.domain.errors import Contended
from perminute.domain.pools.pools import Month, Pools, month_of
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.rerating.rerating import Rerated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.application.looking_again import LookingAgain
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.rating.rating import Rating
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports import ListedCall

_LONGEST_CALL = timedelta(seconds=MAX_CALL_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCorrection:
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
class Corrected:
    """What a correction finds, or has booked: of one batch of calls, or of several.

    `calls` are those of `looked_at` that differ in more than the version that they name. All of
    `looked_at` cost `charge_micros` before, and `change_micros` more (or, negative, less) after.
    """

    looked_at: int = 0
    calls: int = 0
    charge_micros: int = 0
    change_micros: int = 0
    priced: int = 0
    """Calls that had no price and have one now."""
    unpriced: int = 0
    """Calls that had a price and have none now."""
    pools: frozenset[Month] = frozenset()
    """Months in which calls begin or cease to draw on the minute pool. What these calls and later
    ones get of it is decided afterwards, when the pool is settled, and is not in the amounts."""

    def __add__(self, other: Corrected) -> Corrected:
        """Add up two batches."""
        return Corrected(
            looked_at=self.looked_at + other.looked_at,
            calls=self.calls + other.calls,
            charge_micros=self.charge_micros + other.charge_micros,
            change_micros=self.change_micros + other.change_micros,
            priced=self.priced + other.priced,
            unpriced=self.unpriced + other.unpriced,
            pools=self.pools | other.pools,
        )


class _Decided(NamedTuple):
    """Calls as they are recorded and as they should be, and the pools that must be settled."""

    rerated: Sequence[Rerated]
    pools: Pools

    @property
    def corrected(self) -> Corrected:
        """Count and sum them."""
        differing = [one for one in self.rerated if not one.is_priced_alike]
        return Corrected(
            looked_at=len(self.rerated),
            calls=len(differing),
            charge_micros=sum(one.before.charge_micros for one in self.rerated),
            change_micros=sum(one.change_micros for one in self.rerated),
            priced=sum(_is_priced(one.after) > _is_priced(one.before) for one in differing),
            unpriced=sum(_is_priced(one.after) < _is_priced(one.before) for one in differing),
            pools=frozenset(pool.month for pool in self.pools.touched),
        )


@dataclass(frozen=True, slots=True)
class CorrectRates:
    """The use case, over what it shares with re-rating."""

    again: LookingAgain

    def preview(self, organization_id: str, correction: RateCorrection) -> Iterator[Corrected]:
        """Yield what would be booked, batch by batch; writes nothing. Raises `Unavailable`."""
        for listed in self._batches(organization_id, correction):
            yield self._previewed(organization_id, correction, listed)

    def book(self, organization_id: str, correction: RateCorrection) -> Iterator[Corrected]:
        """Book each batch, and yield what was booked. Raises `Unavailable`."""
        for listed in self._batches(organization_id, correction):
            booked: list[Corrected] = []
            decide = partial(self._booking, correction, listed, booked)
            with caused_by(f"rates#{correction.version}"):
                self.again.commit(organization_id, correction.at, NEVER, decide)
            # If the account was changed meanwhile, the last decision is the one that was committed.
            yield booked[-1]

    def _batches(
        self, organization_id: str, correction: RateCorrection
    ) -> Iterator[Sequence[ListedCall]]:
        """Gather the calls of that time, as many as fit a transaction.

        A call ends at most a call's length after it was answered, so later lists have none.
        """
        last_day = (correction.until + _LONGEST_CALL).date()
        gathered: list[ListedCall] = []
        for listed in self.again.calls.lists(organization_id, since=correction.since):
            if listed.day > last_day:
                break
            for call in listed.calls:
                if correction.since <= call.answered_at < correction.until:
                    if not fit_one_transaction([*gathered, call]):
                        yield gathered
                        gathered = []
                    gathered.append(call)
        if gathered:
            yield gathered

    def _previewed(
        self, organization_id: str, correction: RateCorrection, listed: Sequence[ListedCall]
    ) -> Corrected:
        """Decide, again while others are writing what is read: `commit` does that for a booking."""
        why = ""
        for _ in self.again.retry.tries():
            account = self.again.credit.account(organization_id)
            try:
                return self._decide(correction, listed, account).corrected
            except Contended as error:
                why = str(error)
        raise gave_up(organization_id, why)

    def _booking(
        self,
        correction: RateCorrection,
        listed: Sequence[ListedCall],
        booked: list[Corrected],
        account: Account,
        at: datetime,
    ) -> Transaction | None:
        decided = self._decide(correction, listed, account)
        booked.append(decided.corrected)
        return self.again.booking(account, decided.rerated, decided.pools, at, correction.cause)

    def _decide(
        self, correction: RateCorrection, listed: Sequence[ListedCall], account: Account
    ) -> _Decided:
        """Rate calls anew; the pool of one that begins or ceases to draw on it must be settled."""
        usages, ratings, licensing = self.again.rated_anew(account, listed, correction.version)
        both = list(zip(usages, ratings, strict=True))
        moving = [usage for usage, rating in both if _moves(usage, rating)]
        months = {month_of(usage.call) for usage in moving}
        if account.provisional is not None:
            # News of calls on unsettled pools waits: their minutes may change.
            drawing = {
                month_of(u.call) for u, rating in both if u.draws_on_pool or rating.draws_on_pool
            }
            months |= drawing & account.provisional.months
        pools = Pools(self.again.credit.pools(account.organization_id, months), licensing)
        for usage in moving:
            pools.unsettle(usage.call)
        return _Decided([Rerated(usage, _anew(usage, rating)) for usage, rating in both], pools)


def _moves(usage: Usage, rating: Rating) -> bool:
    """Whether a call begins or ceases to draw on the pool, and that can make a difference."""
    concerned = rating.draws_on_pool or usage.pool_minutes or usage.reserved_minutes
    return rating.draws_on_pool != usage.draws_on_pool and bool(concerned)


def _anew(usage: Usage, rating: Rating) -> Usage:
    """Make the record by the new price, with the minutes that the pool has given until now.

    Settling rates a call by the version that its record names. So a call that moves is recorded
    with its new price at once; its place in the pool stays as it is until the pool is settled.
    """
    anew = rating.usage(usage.pool_minutes, usage.reserved_minutes)
    if not _moves(usage, rating):
        return anew
    return replace(
        anew,
        draws_on_pool=usage.draws_on_pool,
        reserved_minutes=usage.reserved_minutes,
        notifications_held=True,
    )


def _is_priced(usage: Usage) -> bool:
    return usage.stated_price.retail_micros is not None
