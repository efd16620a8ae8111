"""Purchases, adjustments, settings, failed recharges and the passing of time, as transactions.

Before something is booked at an instant, everything that is due by then must be booked
(`due_changes`), so that no expired lot pays; a booking that takes credit checks that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.lots import Lot, merged
from perminute.domain.credit.recharge import MAX_FAILURES, Disabled
from perminute.domain.credit.transaction_builder import TransactionBuilder
from perminute.domain.errors import Refused
from perminute.domain.notifications.notifications import (
    RechargeFailed,
    RechargeSucceeded,
)
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import MAX_CLOCK_AHEAD

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.credit.lots import LotShare
    from perminute.domain.credit.transaction import Transaction

MAX_STEPS = 20
"""Warnings and expiries of one booking: with their notifications they fit a transaction."""


class Purchase(NamedTuple):
    """Credit that was bought; micro-units of `currency`."""

    purchase_id: str
    amount_micros: int
    currency: str
    purchased_at: datetime
    expires_at: datetime
    recharge_id: str | None = None


class Adjustment(NamedTuple):
    """A correction of the balance, up or down; micro-units of the account's currency."""

    adjustment_id: str
    amount_micros: int
    expires_at: datetime  # only of an upward one (our decision): it opens a lot, as a purchase does
    purchase_id: str | None = None  # only of a chargeback: the purchase that it takes back


def purchase(  # noqa: PLR0913 - the parts of a purchase
    account: Account,
    bought: Purchase,
    *,
    at: datetime,
    cause: str,
    heard_at: datetime | None = None,
    after_failure: bool = False,
) -> Transaction:
    """Pay the debt and open a lot; the first purchase sets the credits up (docs/domain.md §5)."""
    builder = TransactionBuilder(account, at, heard_at)
    # The seller's clock may be ahead, but credit that is booked has been bought.
    purchased_at = min(bought.purchased_at, at)
    builder.set_up(bought.currency, purchased_at)
    lot = Lot(
        lot_id=builder.next_entry_id,
        purchase_id=bought.purchase_id,
        purchased_at=purchased_at,
        expires_at=bought.expires_at,
        remaining_micros=bought.amount_micros,
    )
    builder.open_lot(EntryType.PURCHASE, lot, cause)
    recharge = builder.account.recharge.succeeded(bought.recharge_id)
    if after_failure:
        # It was given back to the monthly limit when it failed, and counts from now on.
        recharge = recharge.paid_after_failure(bought.amount_micros, builder.now)
    builder.set(recharge=recharge)
    if bought.recharge_id is not None:
        succeeded = RechargeSucceeded(
            recharge_id=bought.recharge_id,
            amount_micros=bought.amount_micros,
            balance_micros=builder.account.balance_micros,
            currency=bought.currency,
            after_failure=after_failure or None,
        )
        builder.notify(succeeded, cause=bought.recharge_id)
    # Credit bought by hand asks for no recharge, since somebody is just buying, unless it switches
    # recharging on again.
    switched_on = account.recharge.failures >= MAX_FAILURES
    return builder.build(may_ask=switched_on or bought.recharge_id is not None)


def adjust(
    account: Account,
    adjustment: Adjustment,
    *,
    at: datetime,
    cause: str,
    heard_at: datetime | None = None,
) -> Transaction:
    """Correct the balance up, by a lot of its own, or down, out of the lots that pay first.

    Raises `Refused` while the credit has no currency.
    """
    _check_currency_known(account)
    builder, amount_micros = TransactionBuilder(account, at, heard_at), adjustment.amount_micros
    if amount_micros > 0:
        lot = Lot(
            lot_id=builder.next_entry_id,
            purchase_id=adjustment.adjustment_id,
            purchased_at=at,
            expires_at=adjustment.expires_at,
            remaining_micros=amount_micros,
        )
        builder.open_lot(EntryType.ADJUSTMENT, lot, cause)
    else:
        shares = builder.draw(-amount_micros)
        builder.enter(EntryType.ADJUSTMENT, amount_micros, shares, cause)
    return builder.build(may_ask=amount_micros < 0)


def _check_currency_known(account: Account) -> None:
    # An adjustment names no currency: booked now, it would be an amount of the first one to come.
    if account.currency is None:
        raise Refused(
            "amount",
            f"has no currency yet, since the credit of {account.organization_id} is not set up; "
            "send this again after its first Credits Configured or Credit Purchased",
        )


def configure(
    account: Account,
    settings: CreditSettings,
    *,
    at: datetime | None = None,
    heard_at: datetime | None = None,
) -> Transaction:
    """Apply settings unless later ones are already known; the first set the credits up.

    They are booked `at` an instant, by default when they were issued. If a copy of the event whose
    settings are in force was issued earlier, the settings count as issued then.
    """
    at = at or settings.configured_at
    builder = TransactionBuilder(account, at, heard_at)
    builder.set_up(settings.currency, _set_up_at(settings, at))
    known = account.settings
    is_latest = known is None or known.order <= settings.order
    # Otherwise a program that saves the same settings every hour would reset the limits of
    # recharging every hour.
    differ = is_latest and not settings.is_same_as(known)
    if is_latest or settings.is_earlier_copy_of(known):
        builder.set(settings=settings)
    if differ:
        builder.set(recharge=account.recharge.reconfigured())
        had_limit = known is not None and known.prefix_hourly_spend_limit_micros is not None
        if settings.prefix_hourly_spend_limit_micros is not None and not had_limit:
            # While there was no such limit, nothing was counted for it.
            number = account.corrections + 1
            builder.set(corrections=number, prefixes_from=number)
    return builder.build(may_ask=differ)


def _set_up_at(settings: CreditSettings, at: datetime) -> datetime:
    # A clock that is further ahead is wrong: until then calls would not be paid for.
    is_believable = settings.configured_at - at <= MAX_CLOCK_AHEAD
    return settings.configured_at if is_believable else at


def fail_recharge(
    account: Account,
    recharge_id: str,
    reason: str,
    *,
    at: datetime,
    heard_at: datetime | None = None,
) -> Transaction:
    """Record and notify that a recharge failed; three in a row stop it (docs/domain.md §5.3).

    A recharge that is not open was never requested: nothing else changes. The caller must not pass
    a failure that is known, or that of a recharge that was paid.
    """
    builder = TransactionBuilder(account, at, heard_at)
    was_open = account.recharge.waits_for(recharge_id)
    builder.set(recharge=account.recharge.failed(recharge_id))
    failed = RechargeFailed(
        recharge_id=recharge_id,
        reason=reason,
        balance_micros=account.balance_micros,
        currency=account.currency,
        never_requested=None if was_open else True,
    )
    builder.notify(failed, cause=recharge_id)
    if account.recharge.failures < MAX_FAILURES <= builder.account.recharge.failures:
        builder.notify_disabled(Disabled.THREE_FAILURES)
    return builder.build(may_ask=was_open)


def due_changes(
    account: Account,
    at: datetime,
    *,
    heard_at: datetime | None = None,
    further: Sequence[Lot] | None = None,
    answered: str | None = None,
) -> Transaction:
    """Warn of lots, expire them, and request a recharge that has become possible.

    Repeat it until the account is no longer due, since one transaction has `MAX_STEPS` at most.
    Pass the `further` lots if they are due, and the recharge that is `answered` next.
    """
    again_at = account.recharge_due_at
    builder = TransactionBuilder(account, at, heard_at, further=further, answered=answered)
    due = [lot for lot in builder.lots.known if lot.due_at <= at]
    for lot in sorted(due, key=lambda lot: lot.expires_at)[:MAX_STEPS]:
        if lot.expires_at <= at:
            builder.expire(lot)
        else:
            builder.warn(lot)
    fell = builder.account.balance_micros < account.balance_micros
    return builder.build(may_ask=fell or (again_at is not None and again_at <= builder.now))


def move_lots_up(account: Account, further: Sequence[Lot], short_micros: int) -> Transaction:
    """Move further lots into the account item, for a charge that lacked `short_micros`."""
    at = account.as_of
    if at is None:
        msg = f"nothing was ever booked for {account.organization_id}: it has no further lots"
        raise ValueError(msg)
    builder = TransactionBuilder(account, at, further=further)
    builder.lots.move_up(short_micros)
    return builder.build(may_ask=False)


class Chargeback(NamedTuple):
    """How much of a purchase the bank or the card's issuer has taken back until now."""

    purchase_id: str
    amount_micros: int


class BoughtCredit(NamedTuple):
    """A purchase as it is recorded."""

    purchase_id: str
    lot_id: str
    amount_micros: int
    charged_back_micros: int = 0
    forfeited: Lot | None = None  # the lot, with what is forfeited of it, if it has expired


def charge_back(  # noqa: PLR0913 - the parts of a booking
    account: Account,
    adjustment: Adjustment,
    bought: BoughtCredit,
    *,
    at: datetime,
    cause: str,
    heard_at: datetime | None = None,
    further: Sequence[Lot] | None = None,
) -> Transaction:
    """Take a purchase back, in whole or in part; raises `Refused` if less is left of it."""
    amount_micros = -adjustment.amount_micros
    charged_back_micros = bought.charged_back_micros + amount_micros
    if charged_back_micros > bought.amount_micros:
        raise _refused(bought, amount_micros)
    expired = () if bought.forfeited is None else (bought.forfeited,)
    builder = TransactionBuilder(account, at, heard_at, further=further, expired=expired)
    shares = _take(builder, bought, amount_micros, cause)
    builder.enter(EntryType.ADJUSTMENT, -amount_micros, merged(shares), cause)
    chargeback = Chargeback(bought.purchase_id, charged_back_micros)
    return builder.build()._replace(chargeback=chargeback)


def _refused(bought: BoughtCredit, amount_micros: int) -> Refused:
    before = ""
    if bought.charged_back_micros:
        before = f", of which {format_micros(bought.charged_back_micros)} was taken back before"
    return Refused(
        "amount",
        f"takes back {format_micros(amount_micros)}, but purchase {bought.purchase_id} brought "
        f"{format_micros(bought.amount_micros)}{before}; take back at most the rest, or send "
        "an adjustment without a purchaseId",
    )


def _take(
    builder: TransactionBuilder, bought: BoughtCredit, amount_micros: int, cause: str
) -> list[LotShare]:
    shares: list[LotShare] = []
    lot, forfeited = builder.lots.find(bought.lot_id), bought.forfeited
    if lot is not None:
        micros = min(amount_micros, lot.remaining_micros)
        shares.append(builder.lots.take(lot, micros))
        amount_micros -= micros
    if amount_micros and forfeited is not None and forfeited.remaining_micros:
        # An organization does not owe for credit that it never used: its expiry is taken back.
        micros = min(amount_micros, forfeited.remaining_micros)
        share = forfeited.share(-micros)
        builder.lots.forfeit_again(share)
        builder.take_back_expiry((share,), cause)
        shares.append(share)
        amount_micros -= micros
    if amount_micros:
        shares += builder.draw(amount_micros)
    return shares
