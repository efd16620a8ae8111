"""What an organization has, while one request about one of its calls is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.domain.authorization.call_times import CLOCK_SKEW
from perminute.domain.credit.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from perminute.domain.authorization.reservations import Held, Promise, Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.limits.spending import SpendingKey, Spendings
    from perminute.domain.pools.pools import MinutePool
    from perminute.domain.rating.calls import Call


class Reserving:
    """What a call has reserved is given back first, then what it needs from now on is held."""

    def __init__(
        self, account: Account, pool: MinutePool | None, spendings: Spendings, at: datetime
    ) -> None:
        """Begin with what was read; `at` is the time of the request."""
        self._before, self._pool_before = account, pool
        self.account, self.pool, self.spendings = account, pool, spendings
        self._at = at

    def give_back(self, call: Reservation) -> Promise | None:
        """Give back what a call has reserved; returns what its last answer promised, if held.

        What others, by a later clock, have forgotten as lapsed must not be held once more.
        """
        promised = call.promised
        if promised is not None and not self.account.reserved.lasts(promised.until, self._at):
            promised = None
        for held in call.held:
            reserved = self.account.reserved.without(held.credit)
            self.account = replace(self.account, reserved=reserved)
            if self.pool is not None and held.minutes:
                self.pool = self.pool.without_held(held.pool)
            for key in call.keys:
                self.spendings.release(key, held.credit)
        return promised

    def hold(self, held: Held, keys: Collection[SpendingKey], call: Call) -> None:
        """Hold something of the credit, of the pool and of the limits that count it."""
        credit = held.credit
        if held.used:
            credit = credit._replace(began_at=call.rated_at - CLOCK_SKEW)
        reserved = self.account.reserved.lapsed(self._at).with_added(credit)
        self.account = replace(self.account, reserved=reserved)
        if self.pool is not None and held.minutes:
            self.pool = self.pool.with_held(held.pool, self._at)
        for key in keys:
            self.spendings.hold(key, held.credit, self._at)

    def calls_notified(self, *, told: bool) -> None:
        """Take down whether admins know that as many calls are under way as they allow."""
        self.account = replace(self.account, calls_notified=told)

    def booking(self) -> Transaction:
        """Return what is to be written; the account is the one before if that is nothing."""
        account = replace(self.account, days=self.spendings.days(self._at))
        pools = () if self.pool is None or self.pool is self._pool_before else (self.pool,)
        if account == self._before and not pools and not self.spendings.touched:
            return Transaction(before=self._before, after=self._before)
        return Transaction(
            before=self._before,
            after=replace(account, version=self._before.version + 1),
            pools=pools,
            spendings=self.spendings.touched,
        )
