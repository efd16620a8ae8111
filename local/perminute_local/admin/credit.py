"""What an event about credit would change, found by booking it without writing anything."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.application.book_credit import BookCredit
from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import RetryPolicy
from perminute.domain.credit.lots import in_order
from perminute.domain.credit.transaction import AlreadyExists, IdentityKind
from perminute.domain.notifications.notifications import RechargeRequested
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute_local.admin.foreseen import ALREADY_RECORDED, Foreseen, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.tables import Tables
    from perminute.application.book_credit import CreditEvent
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lots
    from perminute.domain.credit.recharge import AutoRecharge
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.notifications.notifications import NotificationBody


_UNKNOWN = "{}: nothing is recorded of this organization yet; check the id"


class ReadOnlyCreditStore(DynamoDBCreditStore):
    """Reads the credit of a stack, and keeps in `transactions` what would be written of it."""

    def __init__(self, schema: Tables) -> None:
        """Works on these tables."""
        super().__init__(schema)
        self.transactions: list[Transaction] = []

    def commit(self, transaction: Transaction) -> None:
        """Write nothing, but answer as if: an identity that is recorded is found."""
        keys = [
            one.key
            for one in transaction.processed_events
            if one.key.kind is not IdentityKind.EVENT
        ]
        recorded = {key: found for key in keys if (found := self.processed_event(key)) is not None}
        if recorded:
            raise AlreadyExists(processed_events=recorded)
        self.transactions.append(transaction)

    def further_lots(self, organization_id: str) -> Lots:
        """Read the further lots as they would be after `transactions`."""
        lots = {lot.lot_id: lot for lot in super().further_lots(organization_id)}
        for transaction in self.transactions:
            for lot in transaction.lots.removed:
                lots.pop(lot.lot_id, None)
            lots |= {lot.lot_id: lot for lot in transaction.lots.stored}
        return in_order(lots.values())


def settings_in_force(account: Account) -> dict[str, Any]:
    """Return the fields of a `Credits Configured` that would leave the settings as they are.

    Of auto-recharge neither `minimumPurchase` is recorded nor, while it is off, anything else.
    """
    if account.settings is None:
        return {} if account.currency is None else {"currency": account.currency}
    settings = account.settings
    stated = {
        "currency": settings.currency,
        "lowBalanceThresholds": [*map(format_micros, settings.low_balance_thresholds_micros)],
        "autoRecharge": settings.auto_recharge and _auto_recharge(settings.auto_recharge),
        "dailySpendLimit": _amount(settings.daily_spend_limit_micros),
        "prefixHourlySpendLimit": _amount(settings.prefix_hourly_spend_limit_micros),
        "maxConcurrentCalls": settings.max_concurrent_calls,
        "maxGrantSeconds": settings.max_grant_seconds,
        "failureHandling": settings.failure_handling.value,
        "lateUsageHours": settings.late_usage_hours,
    }
    return {name: value for name, value in stated.items() if value is not None}


def foresee_credit(store: ReadOnlyCreditStore, event: CreditEvent) -> Foreseen:
    """Book the event upon what is recorded, and return what that would change.

    Raises `Refused` if the functions would refuse it, and `Unavailable`.
    """
    store.transactions.clear()
    before = store.account(event.organization_id)
    lots = (*before.lots, *(store.further_lots(event.organization_id) if before.further else ()))
    (result,) = BookCredit(store, RetryPolicy())([event])
    match result:
        case Accepted(after):
            warnings = () if before.version else (_UNKNOWN.format(event.organization_id),)
            return Foreseen(tuple(_rows(before, lots, after, store.transactions)), warnings)
        case Duplicate():
            return ALREADY_RECORDED
        case error:
            raise error


def _rows(
    before: Account, lots: Lots, after: Account, transactions: Sequence[Transaction]
) -> Iterator[Row]:
    named = partial(Row, before.organization_id)
    was, will_be = _shown(settings_in_force(before)), _shown(settings_in_force(after))
    for name in dict.fromkeys((*was, *will_be)):
        if was.get(name) != will_be.get(name):
            yield named(name, was.get(name), will_be.get(name))
    money = partial(_money, after.currency)
    if before.balance_micros != after.balance_micros:
        yield named("balance", money(before.balance_micros), money(after.balance_micros))
    if before.debt_micros != after.debt_micros:
        yield named("debt", money(before.debt_micros), money(after.debt_micros))
    entries = [entry for transaction in transactions for entry in transaction.entries]
    for name, had_micros, left_micros in _changed_lots(lots, entries):
        yield named(name, None if had_micros is None else money(had_micros), money(left_micros))
    for transaction in transactions:
        for one in transaction.notifications:
            yield named("notification", None, _announced(one.body, after.currency))


def _changed_lots(
    lots: Lots, entries: Sequence[LedgerEntry]
) -> Iterator[tuple[str, int | None, int]]:
    """Yield what each lot that entries open or change is called, what it had, and would have."""
    had = {lot.lot_id: lot.remaining_micros for lot in lots}
    opened = {entry.opens.lot_id: entry.opens for entry in entries if entry.opens is not None}
    changes: Counter[tuple[str, str]] = Counter()
    for share in chain.from_iterable(entry.lots for entry in entries):
        changes[share.lot_id, share.purchase_id] += share.amount_micros
    for (lot_id, purchase_id), change_micros in changes.items():
        lot = opened.get(lot_id)
        if lot is not None:
            yield (
                f"credit {purchase_id} until {format_instant(lot.expires_at)}",
                None,
                change_micros,
            )
        elif change_micros:
            yield f"credit {purchase_id}", had.get(lot_id, 0), had.get(lot_id, 0) + change_micros


def _shown(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write settings for people, by the names of their fields."""
    shown: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            shown |= {f"{name}.{part}": text for part, text in _shown(value).items()}
        elif isinstance(value, list):
            shown[name] = ", ".join(value)
        else:
            shown[name] = json.dumps(value) if isinstance(value, bool) else str(value)
    return shown


def _announced(news: NotificationBody, currency: str | None) -> str:
    what = type(news).__name__
    if isinstance(news, RechargeRequested):
        return f"{what}: {_money(currency, news.amount_micros)} are to be bought"
    return what


def _money(currency: str | None, micros: int) -> str:
    return f"{format_micros(micros)} {currency or ''}".rstrip()


def _amount(micros: int | None) -> str | None:
    return None if micros is None else format_micros(micros)


def _auto_recharge(auto: AutoRecharge) -> dict[str, Any]:
    stated = {
        "enabled": True,
        "triggerAmount": format_micros(auto.trigger_micros),
        "rechargeAmount": format_micros(auto.recharge_micros),
        "monthlyLimit": _amount(auto.monthly_limit_micros),
    }
    return {name: value for name, value in stated.items() if value is not None}
