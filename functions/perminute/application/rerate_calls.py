"""Look again at calls that were rated before all was known, a bounded piece at a time.

Two things are waiting to be carried out, each a record that its own progress changes. A re-rating
goes through the calls of some users, or of everybody, since an instant. A minute pool that is
unsettled goes through the dial-outs of its month, in the order in which they draw on it.

Whatever is found is decided anew and committed against the account's version, as a charge is. So
a charge in flight either is found here or was decided by what is known now; and a piece that is
carried out twice finds nothing more to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, assert_never

from perminute.application.advancing import brought_up_to, posting_of
from perminute.application.patience import NEVER, Deadline
from perminute.application.recording import contended
from perminute.domain.errors import Contended, Unavailable
from perminute.domain.ledger import RERATING
from perminute.domain.licensing import counts_seats
from perminute.domain.pools import Drawing, MinutePool, Month, Pools, Position, month_of
from perminute.domain.rerating import Rerated, rerate
from perminute.domain.usage import Rating, Terms, rate_leg
from perminute.ports import AlreadyKnown, Committed, Moved, Rejection, Unsettled, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date, datetime

    from perminute.application.patience import Patience
    from perminute.application.remembered_licensing import RememberedLicensing
    from perminute.domain.accounts import Account
    from perminute.domain.books import Booking
    from perminute.domain.licensing import Licensing
    from perminute.domain.rerating import Rerating
    from perminute.domain.usage import Usage
    from perminute.ports import (
        CallList,
        Calls,
        CreditStore,
        ListedCall,
        RateCards,
        Rejections,
        Reratings,
        Work,
    )

MAX_LOOKED_AT = 1_000
"""Calls that one piece looks at: a few seconds' work."""

MAX_LISTS = 2_000
"""Lists of calls that one piece goes through, though they may concern nobody in question."""

CALLS_PER_POSTING = 48
"""With a minute pool for each of them they still fit a transaction."""


@dataclass(slots=True)
class Progress:
    """What was done, and of what could not be, the first position and the reason."""

    looked_at: int = 0
    rerated: list[Usage] = field(default_factory=list)
    refused: list[Rejection] = field(default_factory=list)
    failed_at: int | None = None
    why: str = ""

    def fail(self, position: int, why: str) -> None:
        """Have all from this position on come again, unless an earlier one does."""
        if self.failed_at is None:
            self.failed_at, self.why = position, why


class _Batch(NamedTuple):
    """Calls that are looked at together, and the list that they end with."""

    calls: tuple[ListedCall, ...]
    last: str


@dataclass(frozen=True, slots=True)
class RerateCalls:
    """The use case with what it needs from outside."""

    credit: CreditStore
    calls: Calls
    reratings: Reratings
    licensing: RememberedLicensing
    rate_cards: RateCards
    rejections: Rejections
    patience: Patience

    def __call__(self, waiting: Sequence[Work | Rejection], deadline: Deadline = NEVER) -> Progress:
        """Do one piece of each work; what remains of it changes its record, and so comes again.

        One organization's trouble is not another's: the others are carried out all the same.
        """
        progress = Progress()
        seen: set[Work | Rejection] = set()
        for position, work in enumerate(waiting):
            try:
                if work not in seen:
                    self._do(work, progress, deadline)
            except Unavailable as error:
                progress.fail(position, str(error))
            seen.add(work)
        return progress

    def _do(self, work: Work | Rejection, progress: Progress, deadline: Deadline) -> None:
        match work:
            case Rejection():
                self.rejections.keep([work])
                progress.refused.append(work)
            case Waiting(organization_id, rerating_id):
                rerating = self.reratings.rerating(organization_id, rerating_id)
                if rerating is not None:
                    self._carry_out(rerating, progress, deadline)
            case Unsettled():
                self._settle(work, progress, deadline)
            case never:
                assert_never(never)

    def _carry_out(self, rerating: Rerating, progress: Progress, deadline: Deadline) -> None:
        commit = partial(self._commit, rerating.organization_id, rerating.at, progress, deadline)
        if rerating.after is None and (rerating.pools_since or rerating.seats_since):
            commit(partial(self._with_other_pools, rerating))
        end = progress.looked_at + MAX_LOOKED_AT
        for batch in _batches(rerating, self._lists(rerating)):
            if batch.calls:
                commit(partial(self._with_calls, rerating, batch.calls))
            progress.looked_at += len(batch.calls)
            if progress.looked_at >= end or not batch.calls:
                self.reratings.proceed(replace(rerating, after=batch.last))
                return
        self.reratings.finish(rerating)

    def _settle(self, work: Unsettled, progress: Progress, deadline: Deadline) -> None:
        """Give the next calls of a pool what is theirs, until none is left or it is enough."""
        end = progress.looked_at + MAX_LOOKED_AT
        while progress.looked_at < end:
            before = progress.looked_at
            decide = partial(self._with_drawings, work, progress)
            self._commit(work.organization_id, work.month.start, progress, deadline, decide)
            if progress.looked_at == before:
                return

    def _commit(
        self,
        organization_id: str,
        not_before: datetime,
        progress: Progress,
        deadline: Deadline,
        decide: Callable[[Account, datetime], Booking | None],
    ) -> None:
        """Decide from the account as it is now, and commit; again if it moved meanwhile.

        What is corrected happens now, as the account has it: not before what was booked last.
        """
        why = ""
        for _ in self.patience.tries():
            deadline.check()
            account = self.credit.account(organization_id)
            at = max(not_before, account.as_of or not_before)
            current = brought_up_to(self.credit, account, at)
            if isinstance(current, Moved):
                why = current.why
                continue
            try:
                booking = decide(current, at)
            except Contended as error:
                why = str(error)
                continue
            if booking is None or booking.account is current:
                return
            match self.credit.commit(posting_of(current, booking)):
                case Committed():
                    progress.rerated += booking.rerated
                    return
                case Moved(moved):
                    why = moved
                case AlreadyKnown():
                    why = "the account was changed meanwhile"
                case never:
                    assert_never(never)
        raise contended(organization_id, why)

    def _lists(self, rerating: Rerating) -> Iterator[CallList]:
        """Go through the lists that may hold calls in question."""
        if not rerating.since:
            return iter(())
        since = min(rerating.since.values())
        return self.calls.lists(rerating.organization_id, since=since, after=rerating.after)

    def _with_other_pools(
        self, rerating: Rerating, account: Account, at: datetime
    ) -> Booking | None:
        """Unsettle the pools whose minutes the change may have made more or fewer."""
        organization_id = rerating.organization_id
        since = _pools_since(rerating, self.licensing.for_account(account, ()))
        if since is None:
            return None
        months = self.credit.pool_months(organization_id, Month.of(since))
        if not months:
            return None
        pools = Pools(
            self.credit.pools(organization_id, months), self.licensing.for_account(account, ())
        )
        for month in months:
            start = Position.start_of(max(since, month.start).date())
            pools.put(pools[month].unsettled_from(start))
        return rerate(account, (), pools=pools, opened={}, at=at, cause=rerating.cause)

    def _with_calls(
        self,
        rerating: Rerating,
        listed: Sequence[ListedCall],
        account: Account,
        at: datetime,
    ) -> Booking | None:
        """Rate calls anew; one that begins or ceases to draw on a pool, the pool has to settle."""
        usages, ratings, licensing = self._rated_anew(account, listed)
        rerated: list[Rerated] = []
        leaving: list[Usage] = []
        for usage, rating in zip(usages, ratings, strict=True):
            if rating.draws_on_pool == usage.draws_on_pool:
                rerated.append(Rerated(usage, rating.usage(usage.pool_minutes)))
            elif rating.draws_on_pool or usage.pool_minutes:
                leaving.append(usage)
            else:
                rerated.append(Rerated(usage, rating.usage()))
        months = {month_of(usage.leg) for usage in leaving}
        pools = Pools(self.credit.pools(account.organization_id, months), licensing)
        for usage in leaving:
            pools.unsettle(usage.leg)
        return self._booking(account, rerated, pools, at, rerating.cause)

    def _with_drawings(
        self, work: Unsettled, progress: Progress, account: Account, at: datetime
    ) -> Booking | None:
        """Settle a pool one posting further; None if it is settled."""
        pool = self.credit.pools(work.organization_id, [work.month])[work.month]
        if pool.unsettled is None:
            return None
        day, listed = self._next_in_pool(pool)
        usages, ratings, licensing = self._rated_anew(account, listed[:CALLS_PER_POSTING])
        if day > pool.unsettled.position.ended_at.date():
            pool = pool.settled_until(day)
        drawings = [
            Drawing(usage.leg, usage.pool_minutes, rating.pool_minutes_wanted)
            for usage, rating in zip(usages, ratings, strict=True)
        ]
        minutes: tuple[int, ...] = ()
        if drawings:
            pool, minutes = pool.settled(drawings, licensing)
        rerated = [
            Rerated(usage, rating.usage(taken))
            for usage, rating, taken in zip(usages, ratings, minutes, strict=True)
        ]
        pools = Pools({work.month: pool}, licensing)
        pools.put(pool)
        progress.looked_at += len(usages)
        return self._booking(account, rerated, pools, at, f"{RERATING}pool#{work.month}")

    def _next_in_pool(self, pool: MinutePool) -> tuple[date, list[ListedCall]]:
        """Find the next day after the cursor on which calls of the month ended, and these in order.

        The day after the last possible one, and no calls, if there are no more.
        """
        if pool.unsettled is None:
            msg = f"the pool of {pool.organization_id} for {pool.month} is settled"
            raise ValueError(msg)
        cursor = pool.unsettled.position
        start = Position.start_of(cursor.ended_at.date()).ended_at
        found: list[ListedCall] = []
        for listed in self.calls.lists(pool.organization_id, since=start):
            day = listed.calls[0].ended_at.date()
            if day > pool.month.last_day or (found and day > found[0].ended_at.date()):
                break
            found += (
                call
                for call in listed.calls
                if call.dial_out
                and Month.of(call.answered_at) == pool.month
                and Position(call.ended_at, call.call_id) > cursor
            )
        if not found:
            return pool.month.last_day + timedelta(days=1), []
        return found[0].ended_at.date(), sorted(found, key=_position)

    def _rated_anew(
        self, account: Account, listed: Sequence[ListedCall]
    ) -> tuple[list[Usage], list[Rating], Licensing]:
        """Rate calls by what is known now, and by the rate card by which they were rated.

        The usages come in the order of the list.
        """
        call_ids = [call.call_id for call in listed]
        found = {u.leg.call_id: u for u in self.calls.usages(account.organization_id, call_ids)}
        usages = [found[call_id] for call_id in call_ids]
        organizers = {usage.leg.organizer_id for usage in usages}
        licensing = self.licensing.for_account(account, organizers)
        ratings = [
            rate_leg(
                usage.leg,
                Terms(
                    licensing=licensing,
                    rate_card=self.rate_cards.version(usage.price.rate_card_version),
                    currency=account.currency,
                    credits_set_up_at=account.credits_set_up_at,
                ),
            )
            for usage in usages
        ]
        return usages, ratings, licensing

    def _booking(
        self,
        account: Account,
        rerated: Iterable[Rerated],
        pools: Pools,
        at: datetime,
        cause: str,
    ) -> Booking | None:
        """Book what differs; None if nothing does."""
        differing = [one for one in rerated if one.differs]
        if not (differing or pools.touched):
            return None
        held = {lot.lot_id for lot in account.lots}
        used_up = {
            share.lot_id
            for one in differing
            if one.change_micros < 0
            for share in one.before.lots
            if share.lot_id not in held
        }
        opened = self.credit.opened_lots(account.organization_id, used_up)
        return rerate(account, differing, pools=pools, opened=opened, at=at, cause=cause)


def _pools_since(rerating: Rerating, licensing: Licensing) -> datetime | None:
    """Tell from when on the pools' minutes may be others: assigned licenses count only if asked."""
    instants = [rerating.pools_since]
    if counts_seats(licensing.organization):
        instants.append(rerating.seats_since)
    return min((at for at in instants if at is not None), default=None)


def _batches(rerating: Rerating, lists: Iterable[CallList]) -> Iterator[_Batch]:
    """Gather the calls in question from list to list, as many as fit a posting.

    A batch without calls says that many lists had none, and how far that was.
    """
    gathered: list[ListedCall] = []
    last, count = "", 0
    for listed in lists:
        concerned = [c for c in listed.calls if rerating.concerns(c.organizer_id, c.answered_at)]
        if gathered and len(gathered) + len(concerned) > CALLS_PER_POSTING:
            yield _Batch(tuple(gathered), last)
            gathered = []
        gathered += concerned
        last, count = listed.key, count + 1
        if count % MAX_LISTS == 0:
            if gathered:
                yield _Batch(tuple(gathered), last)
                gathered = []
            yield _Batch((), last)
    if gathered:
        yield _Batch(tuple(gathered), last)


def _position(call: ListedCall) -> Position:
    return Position(call.ended_at, call.call_id)
