"""Rate the calls again that a late change concerns, a bounded piece at a time.

What waits is in records that the change itself wrote, and that each piece updates: the table's
stream sends a request for each update, so that the next piece follows. Nothing is lost, and no
invocation has more to do than a piece.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.correlation import caused_by, traceable
from perminute.application.recorded_calls import CALLS_PER_PIECE, ReratingProgress, batches, moves
from perminute.application.results import Accepted, Result
from perminute.application.retry import NEVER, Deadline
from perminute.application.settle_pools import notify_without_settling, settle_pool
from perminute.domain.credit.ledger import sent_by
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.licensing import counts_seats
from perminute.domain.pools.pools import DrawPosition, MinutePools, Month
from perminute.domain.rerating.corrections import ReratedCall, rerate
from perminute.domain.rerating.rerating import Rerating, earliest
from perminute.domain.values.printable import one_line
from perminute.ports.stores import MAX_MERGED, CallList, ListedCall, Reratings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.application.recorded_calls import RecordedCalls
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction

MAX_SUBJECTS = 1_000  # users that one re-rating names: each call is compared with all of them
# What their names may take in its record: an item may have 409,600 bytes. A thousand names like
# real ones take some 80,000; of the longest that are allowed, less than three hundred fit.
MAX_SUBJECT_BYTES = 300_000
# Pools that are unsettled in one transaction, with all that they may call for.
POOLS_PER_TRANSACTION = 24


class ReratingRequest(NamedTuple):
    """An organization that has something waiting, and when that was heard, if it is known."""

    organization_id: str
    heard_at: datetime | None = None

    @property
    def names(self) -> dict[str, str]:
        """The id by which it is found in the log."""
        return {"organizationId": one_line(self.organization_id)}


@dataclass(frozen=True, slots=True)
class RerateCalls:
    """The use case with what it needs from outside."""

    recorded: RecordedCalls
    reratings: Reratings

    def __call__(
        self, rerating_requests: Sequence[ReratingRequest], deadline: Deadline = NEVER
    ) -> list[Result[ReratingProgress]]:
        """Process a part of what waits for each organization: re-ratings first, then pools."""
        # One organization's failure does not fail others, and a slow one does not delay them: each
        # has its share of the time that is left, and what it does not need is for the others. Else
        # those after it would fail for want of time, and their messages would end in the
        # dead-letter queue.
        requests: dict[str, list[datetime | None]] = {}
        for organization_id, heard_at in rerating_requests:
            requests.setdefault(organization_id, []).append(heard_at)
        results: dict[str, Result[ReratingProgress]] = {}
        for organization_id, heard in requests.items():
            share = deadline.share(len(requests) - len(results))
            heard_at = max((at for at in heard if at is not None), default=None)
            try:
                deadline.check()
                results[organization_id] = Accepted(
                    self._work_off(organization_id, heard_at, share)
                )
            except Unavailable as error:
                results[organization_id] = error
        return [results[request.organization_id] for request in rerating_requests]

    def _work_off(
        self, organization_id: str, heard_at: datetime | None, deadline: Deadline
    ) -> ReratingProgress:
        progress = ReratingProgress()
        if heard_at is not None:
            # First: what stands in the way of settling must not delay notifications further.
            self._release_notifications(organization_id, heard_at, deadline)
        is_followed = self._rerate(organization_id, progress, deadline)
        if is_followed and deadline.passed:
            # The next piece is on its way: without time this one would only fail.
            return progress
        for month in self.recorded.credit.unsettled_months(organization_id):
            settle_pool(self.recorded, organization_id, month, progress, deadline)
        return progress

    def _release_notifications(
        self, organization_id: str, heard_at: datetime, deadline: Deadline
    ) -> None:
        account = self.recorded.end_waiting(organization_id, heard_at, deadline)
        waiting = account.provisional
        if waiting is not None and waiting.due_at is None and waiting.notifications_held:
            notify_without_settling(self.recorded, account, deadline)

    def _rerate(self, organization_id: str, progress: ReratingProgress, deadline: Deadline) -> bool:
        # Until it is enough for now. Return whether a next piece follows.
        while rerating := self._next(organization_id, progress):
            with caused_by(_cause_of(rerating)):
                is_done = self._piece(rerating, progress, deadline)
            if not is_done:
                return True
            if progress.looked_at >= CALLS_PER_PIECE or deadline.passed:
                # The record of what has not begun must change, or no piece follows.
                left = self.reratings.waiting(organization_id)[:1]
                for waiting in left:
                    self.reratings.proceed(waiting)
                return bool(left)
        return False

    def _next(self, organization_id: str, progress: ReratingProgress) -> Rerating | None:
        # The re-rating that has begun, or one made of all that have not.
        waiting = self.reratings.waiting(organization_id)
        progress.causes += map(_cause_of, waiting)
        begun = next((rerating for rerating in waiting if rerating.after is not None), None)
        if begun or not waiting:
            return begun
        first, *others = waiting
        absorbed: list[Rerating] = []
        subjects, left = len(first.since), MAX_SUBJECT_BYTES - first.subject_bytes
        for other in others[:MAX_MERGED]:
            subjects += len(other.since)
            left -= other.subject_bytes
            if subjects > MAX_SUBJECTS or left < 0:
                break
            absorbed.append(other)
        if not absorbed:
            return first
        merged = first.merged_with(absorbed)
        if self.reratings.merge(merged, absorbed):
            return replace(merged, steps=merged.steps + 1)
        return first

    def _piece(self, rerating: Rerating, progress: ReratingProgress, deadline: Deadline) -> bool:
        commit = partial(self.recorded.commit, rerating.organization_id, rerating.at, deadline)
        for since, months in self._pools_changed(rerating):
            commit(partial(self._unsettle, rerating.cause, since, months))
        begun_at, after = progress.looked_at, rerating.after
        for calls, last in batches(
            self._lists(rerating),
            lambda call: rerating.concerns(call.organizer_id, call.answered_at),
            after,
        ):
            if calls and not deadline.passed:
                booking = commit(partial(self._correct, rerating, calls))
                progress.rerated += booking.rerated if booking else ()
                progress.looked_at += len(calls)
                after = last
            enough = progress.looked_at - begun_at >= CALLS_PER_PIECE or not calls
            if enough or deadline.passed:
                self.reratings.proceed(replace(rerating, after=after if calls else last))
                return False
        return self.reratings.finish(rerating)

    def _lists(self, rerating: Rerating) -> Iterator[CallList]:
        if not rerating.since:
            return iter(())
        since = min(rerating.since.values())
        calls = self.recorded.calls
        return calls.lists(rerating.organization_id, since=since, after=rerating.after)

    def _pools_changed(self, rerating: Rerating) -> Iterator[tuple[datetime, Sequence[Month]]]:
        # Pools whose minutes may have changed, some at a time, and since when.
        if rerating.after is not None:
            return
        since = rerating.pools_since
        if rerating.seats_since is not None:
            account = self.recorded.credit.account(rerating.organization_id)
            if counts_seats(self.recorded.licensing.for_account(account, ()).organization):
                since = earliest((since, rerating.seats_since))
        if since is None:
            return
        months = self.recorded.credit.pool_months(rerating.organization_id, Month.of(since))
        for start in range(0, len(months), POOLS_PER_TRANSACTION):
            yield since, months[start : start + POOLS_PER_TRANSACTION]

    def _unsettle(
        self, cause: str, since: datetime, months: Sequence[Month], account: Account, at: datetime
    ) -> Transaction:
        read = self.recorded.credit.pools(account.organization_id, months)
        pools = MinutePools(read, self.recorded.licensing.for_account(account, ()))
        for month in months:
            start = DrawPosition.start_of(max(since, month.start).date())
            # To the end of the month: the minutes of all its calls may be others.
            pools.put(pools[month].unsettled_from(start)._replace(scope=None))
        return rerate(account, (), pools=pools, opened={}, at=at, cause=cause)

    def _correct(
        self, rerating: Rerating, listed: Sequence[ListedCall], account: Account, at: datetime
    ) -> Transaction | None:
        # A call that begins or ceases to draw on a pool is left to settling.
        rated, licensing = self.recorded.rated_again(account, listed)
        pools = self.recorded.pools_of(account, rated, licensing)
        rerated = [
            ReratedCall(usage, rating.usage(usage.pool_minutes, usage.reserved_minutes))
            for usage, rating in rated
            if not moves(usage, rating)
        ]
        booking = self.recorded.corrected(account, rerated, pools, at, rerating.cause)
        if booking is None:
            return None
        entries = sent_by(rerating.producer, rerating.cause, booking.entries)
        return booking._replace(entries=entries)


def _cause_of(rerating: Rerating) -> str:
    # A re-rating is named by what identifies the event that called for it.
    return traceable(rerating.rerating_id.partition("#")[2] or rerating.rerating_id)
