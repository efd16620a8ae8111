"""Correct what recorded calls cost: who pays more, and to which lots credit goes back.

Had less been charged at first, the lots that paid last would not have been touched. So they get
back first, if they have not expired. What no lot had paid, or whose lot has expired since it paid,
goes into one lot a month for all such refunds, with a year to be used: nobody loses what was
charged wrongly (our decision). What a lot paid after it had expired is forfeited again: it came
back for that call alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.charging import hold_notifications, notifications_of_call, write_pools
from perminute.domain.credit.ledger import RERATING, EntryType, of_other_months
from perminute.domain.credit.lots import (
    MAX_EXPIRED_LOTS_CORRECTED,
    MAX_LOTS_GIVEN_BACK,
    Lot,
    LotShare,
    given_back,
    merged,
    twelve_months_after,
)
from perminute.domain.credit.transaction import ReplacedUsage, Transaction
from perminute.domain.credit.transaction_builder import CallCharge, TransactionBuilder
from perminute.domain.limits.spending import SpendChange, SpendCounters, SpendKind, spend_changes
from perminute.domain.notifications.notification_rules import notify_again
from perminute.domain.notifications.notifications import CallNotification, CallNotRated
from perminute.domain.pools.pools import DrawPosition, MinutePools, minutes_wanted, month_of
from perminute.domain.rating.usage_record import Adjusted, Flag, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.rating.rating import Rating


class ReratedCall(NamedTuple):
    """A call as it is recorded, and as it should be."""

    before: Usage
    after: Usage
    # Whether its `Call Ended` has come, which replaces what its bridge reported.
    ended: bool = False

    @property
    def call_id(self) -> str:
        """The id of the call."""
        return self.after.call.call_id

    @property
    def differs(self) -> bool:
        """Whether there is anything to correct, or a notification that has waited."""
        return self.is_other or self.before.notifications_held != self.after.notifications_held

    @property
    def is_other(self) -> bool:
        """Whether the call is rated otherwise, or it is known what it really was."""
        is_same_call = self.before.call == self.after.call
        return self.ended or not is_same_call or _result(self.before) != _result(self.after)

    @property
    def is_priced_alike(self) -> bool:
        """Whether at most the card differs by which it was priced: its version, and its steps."""
        # Steps that a call did not reach, or that bill as many seconds, price it alike. So does the
        # currency of the credit, as long as credit does not have to pay the call.
        after = self.after.price
        renamed = self.before.price._replace(
            rate_card_version=after.rate_card_version,
            initial_increment_seconds=after.initial_increment_seconds,
            increment_seconds=after.increment_seconds,
            later_steps=after.later_steps,
            unpriced=after.unpriced,
        )
        return _result(self.before._replace(price=renamed)) == _result(self.after)

    @property
    def change_micros(self) -> int:
        """By how much credit is to pay more."""
        return self.after.charge_micros - self.before.charge_micros


def _result(usage: Usage) -> tuple[object, ...]:
    return (
        usage.outcome,
        usage.reason,
        usage.stated_price,
        usage.charge_micros,
        usage.pool_minutes,
        usage.draws_on_pool,
        usage.policy_flag,
    )


def rerate(  # noqa: PLR0913 - all that one decision rests on
    account: Account,
    rerated: Sequence[ReratedCall],
    *,
    pools: MinutePools,
    opened: Mapping[str, Lot],
    further: Sequence[Lot] | None = None,
    expired: Sequence[Lot] = (),
    at: datetime,
    cause: str,
) -> Transaction:
    """Correct calls that differ: what they cost in one entry, which each of them names.

    `opened` contains, as they were when they were opened, the lots that paid and are used up;
    `further` are the further lots, if they were read, and `expired` those that may pay late calls.
    The licensing of the pools must contain the organizers of the calls, before and after. Raises
    `FurtherLotsNeeded`.
    """
    # What was spent of limits changes with it, but no limit is notified as reached. Notifications
    # of calls that their pools may still pay wait until these are settled.
    builder = TransactionBuilder(
        account, at, further=further, expired=expired, most_expired=MAX_EXPIRED_LOTS_CORRECTED
    )
    write_pools(builder, pools)
    held = (call._replace(after=hold_notifications(builder, call.after, pools)) for call in rerated)
    rerated = [call for call in held if call.differs]
    replaced = correct_calls(builder, rerated, opened, cause)
    if replaced:
        builder.touch()
    spend_counters = SpendCounters(account.days, {})
    corrected = count_corrected(builder, replaced, spend_counters, pools.licensing)
    return builder.build(may_ask=sum(call.change_micros for call in rerated) > 0)._replace(
        replaced=replaced,
        pools=pools.touched,
        steps=pools.steps,
        corrected=corrected,
    )


def correct_calls(
    builder: TransactionBuilder,
    rerated: Sequence[ReratedCall],
    opened: Mapping[str, Lot],
    cause: str,
) -> tuple[ReplacedUsage, ...]:
    """Book what differs in one entry, notify of what is new, and return the new records."""
    entry_id, lots = _book_changes(builder, rerated, opened, cause)
    overdrawn = builder.account.balance_micros < 0
    return tuple(
        ReplacedUsage(
            call.before,
            notify_again(
                builder,
                _corrected(call, entry_id, lots.get(call.call_id), overdrawn=overdrawn),
                _new_notifications(call),
            ),
        )
        for call in rerated
    )


def _book_changes(
    builder: TransactionBuilder,
    rerated: Sequence[ReratedCall],
    opened: Mapping[str, Lot],
    cause: str,
) -> tuple[str, dict[str, tuple[LotShare, ...]]]:
    # The id of the entry, and which lots pay each call whose cost has changed.
    changed = sorted((call for call in rerated if call.change_micros), key=_change_micros)
    if not changed:
        return "", {}
    # What is given back comes first: it pays the debt that stands before it goes to lots.
    refunds = _Refunds(builder, opened)
    lots = {call.call_id: refunds.give_back(call) for call in changed if call.change_micros < 0}
    dearer = [call for call in changed if call.change_micros > 0]
    # What is corrected counts as reported now, which decides if expired lots of its time pay it.
    charges = [
        CallCharge(call.change_micros, call.after.call.ended_at, builder.now) for call in dearer
    ]
    drawn = builder.draw_for_calls(charges)
    late = {}
    for call, paid in zip(dearer, drawn, strict=True):
        lots[call.call_id] = merged((*call.before.lots, *paid.shares))
        late[call.call_id] = paid.late
    shares = merged((*refunds.shares, *(share for paid in drawn for share in paid.shares)))
    total_micros = sum(map(_change_micros, changed))
    entry = builder.enter(
        EntryType.ADJUSTMENT,
        -total_micros,
        shares,
        cause,
        opens=refunds.opens,
        call_ids=tuple(call.call_id for call in changed),
        other_months=of_other_months(builder.at, _movements(rerated)),
    )
    # A lot that is opened is named after the entry that opens it, so the others come behind that.
    builder.enter_late(late)
    refunds.enter_forfeited(entry.entry_id)
    return entry.entry_id, lots


def _movements(rerated: Iterable[ReratedCall]) -> Iterator[tuple[datetime, int]]:
    # A call may turn out to have ended in another month.
    for before, after, _ in rerated:
        yield before.call.ended_at, -before.charge_micros
        yield after.call.ended_at, after.charge_micros


def _change_micros(rerated: ReratedCall) -> int:
    return rerated.change_micros


@dataclass(slots=True)
class _Refunds:
    builder: TransactionBuilder
    opened: Mapping[str, Lot]
    opens: Lot | None = None  # the lot that was opened for it, if one was
    shares: list[LotShare] = field(default_factory=list)
    # What expired lots had paid for late calls: it is forfeited again.
    forfeited: list[LotShare] = field(default_factory=list)

    def give_back(self, rerated: ReratedCall) -> tuple[LotShare, ...]:
        # Returns the lots that pay the call from then on.
        before = rerated.before
        paid_micros = -sum(share.amount_micros for share in before.lots)
        refund_micros = -rerated.change_micros
        # First what no lot had paid.
        owed_micros = min(refund_micros, before.charge_micros - paid_micros)
        kept, back = given_back(before.lots, refund_micros - owed_micros)
        self._put(owed_micros, None)
        for share in back:
            if share.late and self.builder.lots.forfeits_again(share.lot_id):
                self.builder.lots.forfeit_again(share)
                self.forfeited.append(share)
                self.shares.append(share)
            else:
                self._put(share.amount_micros, share.lot_id)
        return kept

    def enter_forfeited(self, because_of: str) -> None:
        # It came back only to pay these calls.
        if self.forfeited:
            shares = merged(
                LotShare(lot_id, name, -micros) for lot_id, name, micros, _ in self.forfeited
            )
            total_micros = sum(share.amount_micros for share in shares)
            self.builder.enter(EntryType.EXPIRY, total_micros, shares, f"entry#{because_of}")

    def _put(self, amount_micros: int, lot_id: str | None) -> None:
        amount_micros = self.builder.pay_debt(amount_micros)
        if amount_micros:
            lot = (None if lot_id is None else self._lot(lot_id)) or self._common_lot()
            self.builder.lots.put(lot.with_change(amount_micros))
            self.shares.append(lot.share(amount_micros))

    def _lot(self, lot_id: str) -> Lot | None:
        lot = self.builder.lots.find(lot_id)
        if lot is not None and lot in self.builder.lots.first:
            return lot
        # What calls have drawn from hundreds of lots must fit one transaction.
        if self.builder.lots.number_written >= MAX_LOTS_GIVEN_BACK:
            return None
        used_up = self.opened.get(lot_id)
        if lot is None and used_up and used_up.expires_at > self.builder.at:
            return used_up._replace(remaining_micros=0, warned=False)
        return lot

    def _common_lot(self) -> Lot:
        # That of this month: people know it as one, however many calls it is for.
        at = self.builder.at
        name = f"{RERATING}{at:%Y-%m}"
        lot = self.builder.lots.named(name) or self.opens
        if lot is None:
            lot = self.opens = Lot(
                lot_id=self.builder.next_entry_id,
                purchase_id=name,
                purchased_at=at,
                expires_at=twelve_months_after(at),
                remaining_micros=0,
            )
        return lot


def _corrected(
    rerated: ReratedCall, entry_id: str, lots: tuple[LotShare, ...] | None, *, overdrawn: bool
) -> Usage:
    before, after, ended = rerated
    if not rerated.is_other:
        return before._replace(notifications_held=after.notifications_held)
    adjustments = before.adjustments
    if lots is not None:
        adjustments = (*adjustments, Adjusted(entry_id, rerated.change_micros))
    flags = after.flags
    was_overdrawn = Flag.OVERDRAWN in before.flags
    if after.charge_micros and (was_overdrawn or (overdrawn and rerated.change_micros > 0)):
        flags = (*flags, Flag.OVERDRAWN)
    if before.reported_by_bridge and not ended:
        flags = (*flags, Flag.REPORTED_BY_BRIDGE)
    # A version that prices the call alike is recorded, but to its readers nothing has changed.
    has_changed = before.call != after.call or not rerated.is_priced_alike
    if has_changed or Flag.RERATED in before.flags:
        flags = (*flags, Flag.RERATED)
    return after._replace(
        authorized_at=before.authorized_at,
        notified_again=before.notified_again,
        # A `Call Ended` states the number again.
        content_digest=None if ended else before.content_digest,
        is_erased=before.is_erased,
        flags=flags,
        entry_id=before.entry_id,
        adjustments=adjustments,
        lots=before.lots if lots is None else lots,
    )


def _new_notifications(rerated: ReratedCall) -> Iterator[CallNotification]:
    # Those that were not sent before: that a call costs another amount repeats none.
    sent = {_subject(body) for body in notifications_of_call(rerated.before)}
    yield from (body for body in notifications_of_call(rerated.after) if _subject(body) not in sent)


def _subject(body: CallNotification) -> tuple[object, ...]:
    currency = body.rate_currency if isinstance(body, CallNotRated) else None
    return type(body), body.reason, currency


def count_corrected(
    builder: TransactionBuilder,
    corrected: Iterable[ReplacedUsage],
    spend_counters: SpendCounters,
    licensing: Licensing,
) -> tuple[SpendChange, ...]:
    """Count corrected calls for the days; return what they change in the records of limits."""
    # These may be many, of users who have nothing to do with each other: so the changes are written
    # down, and each record takes in its own when it is read next.
    changes = spend_changes(corrected, licensing, builder.account.settings)
    if not changes:
        return ()
    in_records = tuple(change for change in changes if change.key.kind is not SpendKind.DAY)
    number = builder.account.corrections + bool(in_records)
    spend_counters.correct(changes, number)
    builder.set(days=spend_counters.days(builder.now), corrections=number)
    return in_records


def ended_after_all(usage: Usage, rating: Rating, pools: MinutePools, now: datetime) -> ReratedCall:
    """Correct a call that was charged by its bridge's reports by what its `Call Ended` says."""
    # What it drew from a pool goes back. It is authorized, so what it is given instead is its own,
    # as far as it was, or as there is enough. The pool is settled again from the earlier place.
    if not usage.draws_on_pool:
        own_minutes = 0
    elif _draws_as_before(usage, rating):
        as_before = rating.usage(usage.pool_minutes, usage.reserved_minutes)
        return ReratedCall(usage, as_before, ended=True)
    else:
        pools.give_back(usage.call, usage.pool_minutes, usage.reserved_minutes)
        is_same_month = rating.draws_on_pool and month_of(usage.call) == month_of(rating.call)
        own_minutes = usage.reserved_minutes if is_same_month else 0
    if not rating.draws_on_pool:
        return ReratedCall(usage, rating.usage(), ended=True)
    wanted = rating.pool_minutes_wanted
    minutes = pools.draw(rating.call, wanted, reserved=own_minutes, now=now)
    return ReratedCall(usage, rating.usage(minutes, minutes), ended=True)


def _draws_as_before(usage: Usage, rating: Rating) -> bool:
    before, after = usage.call, rating.call
    return (
        rating.draws_on_pool
        and (DrawPosition.of(before), before.answered_at)
        == (DrawPosition.of(after), after.answered_at)
        and minutes_wanted(before) == rating.pool_minutes_wanted
    )


def release_held_notifications(
    account: Account, usages: Sequence[Usage], *, at: datetime, is_last: bool
) -> Transaction:
    """Notify of calls whose pool has not been settled in time; `is_last`: of no others later."""
    builder = TransactionBuilder(account, at)
    released = [usage._replace(notifications_held=False) for usage in usages]
    notified = [notify_again(builder, u, notifications_of_call(u)) for u in released]
    replaced = tuple(map(ReplacedUsage, usages, notified))
    if is_last and account.provisional is not None:
        builder.set(provisional=account.provisional._replace(notifications_held=False))
    if notified:
        builder.touch()
    return builder.build(may_ask=False)._replace(replaced=replaced)
