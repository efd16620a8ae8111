"""Look again at the calls that a late change concerns, a bounded piece at a time.

What waits stands in records that the change itself wrote, and that each piece writes on: the
table's stream tells of that, so that the next piece follows. Nothing is lost, and no invocation has
more to do than a piece.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.correlation import caused_by, traceable
from perminute.application.looking_again import MAX_LOOKED_AT, Progress, fit_one_transaction
from perminute.application.release_held_notifications import ReleaseHeldNotifications
from perminute.application.results import Accepted
from perminute.application.retry import NEVER, Deadline
from perminute.application.settle_pools import SettlePools
from perminute.domain.credit.ledger import sent_by
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.licensing import counts_seats
from perminute.domain.pools.pools import Month, Pools, Position, month_of
from perminute.domain.rerating.rerating import Rerated, Rerating, rerate
from perminute.domain.values.printable import one_line
from perminute.ports import MAX_MERGED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from perminute.application.looking_again import LookingAgain
    from perminute.application.results import Result
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports import CallList, ListedCall, Reratings

MAX_LISTS = 2_000
"""Lists of calls that one piece goes through, though they may concern nobody in question."""

MAX_SUBJECTS = 1_000
"""Users that one re-rating names: each call is compared with all of them."""

MAX_SUBJECT_BYTES = 300_000
"""What their names may take in its record: an item may have 409,600 bytes. A thousand names like
real ones take some 80,000; of the longest that are allowed, less than three hundred fit."""

POOLS_PER_TRANSACTION = 24
"""Pools that are unsettled in one transaction, with all that they may call for."""


class ReratingRequest(NamedTuple):
    """An organization that has something waiting, and when that was heard, if it is known."""

    organization_id: str
    heard_at: datetime | None = None

    @property
    def names(self) -> dict[str, str]:
        """The id by which it is found in the log."""
        return {"organizationId": one_line(self.organization_id)}


class _Batch(NamedTuple):
    """Calls that are looked at together, and the last list that ends with them, if one does."""

    calls: tuple[ListedCall, ...]
    last: str | None


@dataclass(frozen=True, slots=True)
class RerateCalls:
    """The use case with what it needs from outside."""

    again: LookingAgain
    reratings: Reratings

    def __call__(
        self, rerating_requests: Sequence[ReratingRequest], deadline: Deadline = NEVER
    ) -> list[Result[Progress]]:
        """Do a piece of what waits of each organization: its re-ratings, then its pools.

        One organization's trouble is not another's, nor is its slowness: each has its share of the
        time that is left, and what it does not need is for the others. Else those after it would
        fail for want of time, and their messages be given up after so many of these failures.
        """
        results: dict[str, Result[Progress]] = {}
        organization_ids = list(dict.fromkeys(one.organization_id for one in rerating_requests))
        for position, organization_id in enumerate(organization_ids):
            share = deadline.share(len(organization_ids) - position)
            heard = [
                one.heard_at
                for one in rerating_requests
                if one.organization_id == organization_id and one.heard_at is not None
            ]
            rerating_request = ReratingRequest(organization_id, max(heard, default=None))
            try:
                deadline.check()
                results[organization_id] = Accepted(self._work_off(rerating_request, share))
            except Unavailable as error:
                results[organization_id] = error
        return [results[one.organization_id] for one in rerating_requests]

    def _work_off(self, rerating_request: ReratingRequest, deadline: Deadline) -> Progress:
        organization_id, heard_at = rerating_request
        progress = Progress()
        if heard_at is not None:
            self._notify(organization_id, heard_at, deadline)
        is_followed = False
        while rerating := self._next(organization_id, progress):
            with caused_by(_cause_of(rerating)):
                is_done = self._piece(rerating, progress, deadline)
            if not is_done:
                is_followed = True
                break
            if progress.looked_at >= MAX_LOOKED_AT or deadline.passed:
                is_followed = self._leave(organization_id)
                break
        if is_followed and deadline.passed:
            # The next piece is on its way: without time this one would only fail.
            return progress
        settle = SettlePools(self.again)
        for month in self.again.credit.unsettled_months(organization_id):
            settle(organization_id, month, progress, deadline)
        return progress

    def _notify(self, organization_id: str, heard_at: datetime, deadline: Deadline) -> None:
        """Send what has waited long enough for pools that are still unsettled.

        Before anything else is done: what stands in the way of settling must not delay it further.
        """
        account = self.again.end_waiting(organization_id, heard_at, deadline)
        provisional = account.provisional
        if (
            provisional is not None
            and provisional.due_at is None
            and provisional.notifications_held
        ):
            ReleaseHeldNotifications(self.again)(account, deadline)

    def _next(self, organization_id: str, progress: Progress) -> Rerating | None:
        """Choose what has begun, or make one of all that has not: one pass serves them all."""
        waiting = self.reratings.waiting(organization_id)
        progress.causes += (_cause_of(one) for one in waiting)
        begun = next((one for one in waiting if one.after is not None), None)
        if begun or not waiting:
            return begun
        first, *others = waiting
        absorbed: list[Rerating] = []
        subjects, left = len(first.since), MAX_SUBJECT_BYTES - first.subject_bytes
        for one in others[:MAX_MERGED]:
            subjects += len(one.since)
            left -= one.subject_bytes
            if subjects > MAX_SUBJECTS or left < 0:
                break
            absorbed.append(one)
        if not absorbed:
            return first
        merged = first.merged_with(absorbed)
        if self.reratings.merge(merged, absorbed):
            return replace(merged, steps=merged.steps + 1)
        return first

    def _leave(self, organization_id: str) -> bool:
        """Leave what has not begun for the next piece; returns whether there is anything left.

        Its record must change, or no piece follows.
        """
        left = self.reratings.waiting(organization_id)[:1]
        for rerating in left:
            self.reratings.proceed(rerating)
        return bool(left)

    def _piece(self, rerating: Rerating, progress: Progress, deadline: Deadline) -> bool:
        """Go on with a re-rating; gives whether it is done."""
        organization_id = rerating.organization_id
        commit = partial(self.again.commit, organization_id, rerating.at, deadline)
        pools_since = self._pools_since(rerating) if rerating.after is None else None
        if pools_since is not None:
            for months in self._months(organization_id, pools_since):
                commit(partial(self._unsettle, rerating.cause, pools_since, months))
        begun_at = progress.looked_at
        for batch in _batches(rerating, self._lists(rerating)):
            if batch.calls and not deadline.passed:
                progress.rerated += commit(partial(self._with_calls, rerating, batch.calls))
                progress.looked_at += len(batch.calls)
                rerating = replace(rerating, after=batch.last)
            enough = progress.looked_at - begun_at >= MAX_LOOKED_AT or not batch.calls
            if enough or deadline.passed:
                after = rerating.after if batch.calls else batch.last
                self.reratings.proceed(replace(rerating, after=after))
                return False
        return self.reratings.finish(rerating)

    def _lists(self, rerating: Rerating) -> Iterator[CallList]:
        """Go through the lists that may hold calls in question."""
        if not rerating.since:
            return iter(())
        since = min(rerating.since.values())
        return self.again.calls.lists(rerating.organization_id, since=since, after=rerating.after)

    def _months(self, organization_id: str, since: datetime) -> Iterator[Sequence[Month]]:
        """Name the pools whose minutes may be others by now, some at a time."""
        months = self.again.credit.pool_months(organization_id, Month.of(since))
        for start in range(0, len(months), POOLS_PER_TRANSACTION):
            yield months[start : start + POOLS_PER_TRANSACTION]

    def _pools_since(self, rerating: Rerating) -> datetime | None:
        """Tell from when on they may: assigned licenses count only where that is the basis."""
        instants = [rerating.pools_since]
        if rerating.seats_since is not None:
            account = self.again.credit.account(rerating.organization_id)
            if counts_seats(self.again.licensing.for_account(account, ()).organization):
                instants.append(rerating.seats_since)
        return min((at for at in instants if at is not None), default=None)

    def _unsettle(
        self, cause: str, since: datetime, months: Sequence[Month], account: Account, at: datetime
    ) -> Transaction:
        read = self.again.credit.pools(account.organization_id, months)
        pools = Pools(read, self.again.licensing.for_account(account, ()))
        for month in months:
            start = Position.start_of(max(since, month.start).date())
            pools.put(pools[month].unsettled_for_all_from(start))
        return rerate(account, (), pools=pools, opened={}, at=at, cause=cause)

    def _with_calls(
        self,
        rerating: Rerating,
        listed: Sequence[ListedCall],
        account: Account,
        at: datetime,
    ) -> Transaction | None:
        """Rate calls anew; one that begins or ceases to draw on a pool, the pool has to settle."""
        usages, ratings, licensing = self.again.rated_anew(account, listed)
        rerated: list[Rerated] = []
        moving: list[Usage] = []
        for usage, rating in zip(usages, ratings, strict=True):
            if rating.draws_on_pool == usage.draws_on_pool:
                anew = rating.usage(usage.pool_minutes, usage.reserved_minutes)
                rerated.append(Rerated(usage, anew))
            elif rating.draws_on_pool or usage.pool_minutes or usage.reserved_minutes:
                moving.append(usage)
            else:
                rerated.append(Rerated(usage, rating.usage()))
        months = {month_of(usage.call) for usage in moving}
        if account.provisional is not None:
            # News of calls on unsettled pools waits: their minutes may change.
            drawing = {month_of(one.call) for one in ratings if one.draws_on_pool}
            months |= drawing & account.provisional.months
        pools = Pools(self.again.credit.pools(account.organization_id, months), licensing)
        for usage in moving:
            pools.unsettle(usage.call)
        booking = self.again.booking(account, rerated, pools, at, rerating.cause)
        if booking is None:
            return None
        entries = sent_by(rerating.producer, rerating.cause, booking.entries)
        return replace(booking, entries=entries)


def _cause_of(rerating: Rerating) -> str:
    """Return the id of the event that called for it: a re-rating is named by what identifies it."""
    return traceable(rerating.rerating_id.partition("#")[2] or rerating.rerating_id)


def _batches(rerating: Rerating, lists: Iterable[CallList]) -> Iterator[_Batch]:
    """Gather the calls in question from list to list, as many as fit a transaction.

    A list that does not fit is cut: until its last call is looked at, the list before it is the
    last one. A batch without calls says that many lists had none, and how far that was.
    """
    gathered: list[ListedCall] = []
    last, count = rerating.after, 0
    for listed in lists:
        for call in listed.calls:
            if rerating.concerns(call.organizer_id, call.answered_at):
                if not fit_one_transaction([*gathered, call]):
                    yield _Batch(tuple(gathered), last)
                    gathered = []
                gathered.append(call)
        last, count = listed.key, count + 1
        if count % MAX_LISTS == 0:
            if gathered:
                yield _Batch(tuple(gathered), last)
                gathered = []
            yield _Batch((), last)
    if gathered:
        yield _Batch(tuple(gathered), last)
