"""Recorded calls: rate them again, and correct what differs.

Whatever is found is decided again and committed against the account's version, as a charge is. So a
charge in flight either is found or was decided by what is known now; and a piece that is carried
out twice finds nothing more to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.further_lots import expired_lots, further_lots
from perminute.application.transact import transact
from perminute.domain.credit.ledger import RERATING
from perminute.domain.errors import Unavailable
from perminute.domain.pools.pools import DrawPosition, MinutePools, month_of
from perminute.domain.rating.rating import Rating, RatingContext, rate_call
from perminute.domain.reporting.postings import MAX_REVISED_DAYS
from perminute.domain.rerating.corrections import ReratedCall, ended_after_all, rerate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.application.charge_calls import EndedCall
    from perminute.application.licensing_cache import LicensingCache
    from perminute.application.retry import Deadline, RetryPolicy
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lot, Lots
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.rating.calls import Call, LegType
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.messaging import RateCards
    from perminute.ports.stores import CallList, Calls, CreditStore, ListedCall

# Calls of an organization that one invocation rates again: a few seconds' work.
CALLS_PER_PIECE = 1_000
# Lists of calls that one invocation reads, though they may contain no call in question.
MAX_LISTS = 2_000
# With their pools, and all that their lots may call for, they fit a transaction, see the table in
# docs/architecture.md; so do ended calls, each with a list and a minute pool.
CALLS_PER_TRANSACTION = 40
ENDED_PER_TRANSACTION = 10
# From the first to the last of their ends: reports rely on it to find all revisions of some days.
SPAN_PER_TRANSACTION = timedelta(days=MAX_REVISED_DAYS)


@dataclass(slots=True)
class ReratingProgress:
    """How many calls were looked at, and which of them were corrected."""

    looked_at: int = 0
    rerated: list[Usage] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)  # correlation ids of the re-ratings' events


class CallBatch(NamedTuple):
    """Calls that are corrected in one transaction."""

    calls: tuple[ListedCall, ...]
    # The key of the last list all of whose calls are in this batch or the ones before.
    last: str | None


def batches(
    lists: Iterable[CallList], concerns: Callable[[ListedCall], bool], after: str | None = None
) -> Iterator[CallBatch]:
    """Gather the calls in question, as many as fit a transaction; `after` is the list before.

    A batch without calls says that `MAX_LISTS` lists were read, and which was the last.
    """
    gathered: list[ListedCall] = []
    for count, listed in enumerate(lists, start=1):
        for call in filter(concerns, listed.calls):
            if not fit_one_transaction([*gathered, call]):
                yield CallBatch(tuple(gathered), after)
                gathered = []
            gathered.append(call)
        after = listed.key
        if count % MAX_LISTS == 0:
            if gathered:
                yield CallBatch(tuple(gathered), after)
                gathered = []
            yield CallBatch((), after)
    if gathered:
        yield CallBatch(tuple(gathered), after)


def fit_one_transaction(calls: Sequence[ListedCall]) -> bool:
    """Whether calls can be corrected in one transaction."""
    ends = [call.ended_at for call in calls]
    return len(calls) <= CALLS_PER_TRANSACTION and max(ends) - min(ends) <= SPAN_PER_TRANSACTION


def moves(usage: Usage, rating: Rating) -> bool:
    """Whether a call begins or ceases to draw on its pool, and that can make a difference."""
    can_differ = rating.draws_on_pool or usage.pool_minutes or usage.reserved_minutes
    return rating.draws_on_pool != usage.draws_on_pool and bool(can_differ)


@dataclass(frozen=True, slots=True)
class RecordedCalls:
    """The calls that were charged, with all that rating and correcting them needs."""

    credit: CreditStore
    calls: Calls
    licensing: LicensingCache
    rate_cards: RateCards
    retry: RetryPolicy

    def commit(
        self,
        organization_id: str,
        not_before: datetime,
        deadline: Deadline,
        decide: Callable[[Account, datetime], Transaction | None],
        *,
        is_now: bool = True,
    ) -> Transaction | None:
        """Commit what `decide` makes of the account at the instant of the correction.

        Unless `is_now`, `not_before` counts only if nothing was ever booked. Raises `Unavailable`.
        """

        def corrected_at(account: Account) -> datetime:
            # Not before what was booked last. The start of a month that a clock which is ahead has
            # brought, for example, is no time at which anything is corrected.
            at = account.as_of or not_before
            return max(at, not_before) if is_now else at

        return transact(
            self.credit,
            organization_id,
            lambda account: decide(account, corrected_at(account)),
            self.retry,
            deadline,
            at=corrected_at,
        )

    def end_waiting(self, organization_id: str, heard_at: datetime, deadline: Deadline) -> Account:
        """End what has waited long enough for unsettled pools; raises `Unavailable`."""
        account = self.credit.account(organization_id)
        if account.provisional is None:
            return account
        transact(
            self.credit,
            organization_id,
            lambda _: None,
            self.retry,
            deadline,
            # Not `heard_at`: lots expire by the time of what is booked.
            at=lambda account: account.as_of or heard_at,
            heard_at=heard_at,
            known=account,
        )
        return self.credit.account(organization_id)

    def rated_again(
        self, account: Account, listed: Sequence[ListedCall], version: str | None = None
    ) -> tuple[list[tuple[Usage, Rating]], Licensing]:
        """Rate calls by what is known now, and by the row of the rate card that priced them.

        With a `version` all are rated by that version of the card instead. The usages come in the
        order of the list, without those that it lists out of date. Raises `Unavailable`.
        """
        organization_id = account.organization_id
        call_ids = list(dict.fromkeys(call.call_id for call in listed))
        found = {u.call.call_id: u for u in self.calls.usages(organization_id, call_ids)}
        missing = [call_id for call_id in call_ids if call_id not in found]
        if missing:
            msg = f"call {missing[0]} of {organization_id} is listed, but has no usage record"
            raise Unavailable(msg)
        usages = [found[call.call_id] for call in listed if call.lists(found[call.call_id])]
        licensing = self.licensing.for_account(account, {u.call.organizer_id for u in usages})
        card = self.rate_cards.version(version) if version and usages else None
        rated = []
        for usage in usages:
            # A licensing change does not change the row: the card need not be there any more.
            row = card or usage.price.as_card(usage.call.leg_type)
            context = RatingContext.of(account, licensing, row)
            rated.append((usage, rate_call(usage.call, context)))
        return rated, licensing

    def pools_of(
        self, account: Account, rated: Sequence[tuple[Usage, Rating]], licensing: Licensing
    ) -> MinutePools:
        """Read the pools of calls that are rated again; those of calls that move are unsettled."""
        moving = [usage.call for usage, rating in rated if moves(usage, rating)]
        months = set(map(month_of, moving))
        if account.provisional is not None:
            # Notifications of calls on unsettled pools wait: their minutes may change.
            months |= account.provisional.months & {
                month_of(usage.call)
                for usage, rating in rated
                if usage.draws_on_pool or rating.draws_on_pool
            }
        pools = MinutePools(self.credit.pools(account.organization_id, months), licensing)
        for call in moving:
            pools.unsettle(call)
        return pools

    def replace_reported(
        self,
        organization_id: str,
        ended: Iterable[EndedCall],
        recorded: Mapping[str, Usage],
        deadline: Deadline,
    ) -> dict[str, Usage]:
        """Replace calls that were charged by bridges' reports by what their `Call Ended` says.

        They are `recorded` by call id. What they cost more or less is booked as an adjustment.
        Return the new records by call id, of those calls that nobody has replaced yet. Raises
        `Unavailable`.
        """
        replaced: dict[str, Usage] = {}
        for part in _parts(ended, recorded):
            calls = {ended_call.call.call_id: ended_call.call for ended_call in part}
            at = max(ended_call.reported_at for ended_call in part)
            decide = partial(self._replaced, calls)
            transaction = self.commit(organization_id, at, deadline, decide)
            for usage in transaction.rerated if transaction else ():
                replaced[usage.call.call_id] = usage
        return replaced

    def _replaced(
        self, calls: Mapping[str, Call], account: Account, at: datetime
    ) -> Transaction | None:
        recorded = self.calls.usages(account.organization_id, calls)
        pairs = [(u, calls[u.call.call_id]) for u in recorded if u.is_replaceable]
        # Organizers whom bridges had named as well: what their limits counted is taken back.
        organizers = {c.organizer_id for usage, call in pairs for c in (usage.call, call)}
        licensing = self.licensing.for_account(account, organizers)
        rated = [
            (usage, rate_call(call, RatingContext.of(account, licensing, self._card(usage, call))))
            for usage, call in sorted(pairs, key=lambda pair: DrawPosition.of(pair[1]))
        ]
        months = {month_of(usage.call) for usage, _ in rated if usage.draws_on_pool}
        months |= {month_of(rating.call) for _, rating in rated if rating.draws_on_pool}
        pools = MinutePools(self.credit.pools(account.organization_id, months), licensing)
        now = account.now(at)
        rerated = [ended_after_all(usage, rating, pools, now) for usage, rating in rated]
        return self.corrected(account, rerated, pools, at, f"{RERATING}callEnded")

    def _card(self, usage: Usage, call: Call) -> RateCard:
        # Only what is known of the call has changed, and not its price. Another number or another
        # answer may find another row of the card: then all of it is needed.
        if _finds_row_by(usage.call) == _finds_row_by(call):
            return usage.price.as_card(usage.call.leg_type)
        return self.rate_cards.version(usage.price.rate_card_version)

    def corrected(
        self,
        account: Account,
        rerated: Iterable[ReratedCall],
        pools: MinutePools,
        at: datetime,
        cause: str,
    ) -> Transaction | None:
        """Correct what differs; None if nothing does."""
        differing = [call for call in rerated if call.differs]
        if not (differing or pools.touched):
            return None
        further, opened = self.lots_given_back(account, differing)
        return rerate(
            account,
            differing,
            pools=pools,
            opened=opened,
            further=further,
            expired=expired_lots(self.credit, account, at, corrected=differing),
            at=at,
            cause=cause,
        )

    def lots_given_back(
        self, account: Account, differing: Sequence[ReratedCall]
    ) -> tuple[Lots | None, Mapping[str, Lot]]:
        """Read the further lots, and those used up as they were opened, if some may get back."""
        cheaper = [call.before for call in differing if call.change_micros < 0]
        further = further_lots(self.credit, account) if cheaper else None
        left = {lot.lot_id for lot in (*account.lots, *(further or ()))}
        used_up = {share.lot_id for usage in cheaper for share in usage.lots} - left
        return further, self.credit.opened_lots(account.organization_id, used_up)


def _parts(
    ended: Iterable[EndedCall], recorded: Mapping[str, Usage]
) -> Iterator[Sequence[EndedCall]]:
    # As many calls as fit a transaction, by when they ended as their bridges had reported.
    def ended_before(end: EndedCall) -> datetime:
        return recorded[end.call_id].call.ended_at

    part: list[EndedCall] = []
    for end in sorted(ended, key=ended_before):
        is_far = part and ended_before(end) - ended_before(part[0]) > SPAN_PER_TRANSACTION
        if is_far or len(part) == ENDED_PER_TRANSACTION:
            yield part
            part = []
        part.append(end)
    if part:
        yield part


def _finds_row_by(call: Call) -> tuple[LegType, str | None, datetime]:
    return call.leg_type, call.rated_number, call.rated_at
