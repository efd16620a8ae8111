"""What an event would change of the credit or the licensing that a stack has recorded."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.application.book_credit import BookCredit
from perminute.application.results import Accepted, Duplicate, against_processed_event
from perminute.application.retry import RetryPolicy
from perminute.domain.credit.booking import Purchase
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.lots import in_order
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.credit.transaction import AlreadyExists, IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import MONTHLY_SPEND_LIMIT
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.notifications.notifications import RechargeRequested
from perminute.domain.reference.licenses import OUR_NAMES
from perminute.domain.values.money import format_micros, money_text
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.tables import Tables
    from perminute.application.apply_licensing import LicensingEvent
    from perminute.application.book_credit import CreditEvent
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lots
    from perminute.domain.credit.transaction import ProcessedEvent, Transaction
    from perminute.domain.licensing.attributes import FactValue
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.notifications.notifications import NotificationBody
    from perminute.ports.stores import LicensingStore


class ChangedValue(NamedTuple):
    """A recorded value, as it is and as it would be; None where there is none."""

    subject: str
    name: str
    before: str | None
    after: str | None


class EventEffect(NamedTuple):
    """What one event would change, and what an admin should know before it is sent."""

    rows: tuple[ChangedValue, ...] = ()
    warnings: tuple[str, ...] = ()
    # An event of the same identity and content was processed before; this one changes nothing.
    recorded: bool = False


ALREADY_RECORDED = EventEffect(recorded=True)


_UNKNOWN = "{}: nothing is recorded of this organization yet; check the id"


class ReadOnlyCreditStore(DynamoDBCreditStore):
    """Reads the credit of a stack, and stores in `transactions` what would be written."""

    def __init__(self, schema: Tables) -> None:
        super().__init__(schema)
        self.transactions: list[Transaction] = []

    def commit(self, transaction: Transaction) -> None:
        """Write nothing, but answer as if: an identity that is recorded is found."""
        keys = [
            processed_event.key
            for processed_event in transaction.processed_events
            if processed_event.key.kind is not IdentityKind.EVENT
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
        "dailySpendLimit": money_text(settings.daily_spend_limit_micros),
        "prefixHourlySpendLimit": money_text(settings.prefix_hourly_spend_limit_micros),
        "maxConcurrentCalls": settings.max_concurrent_calls,
        "maxGrantSeconds": settings.max_grant_seconds,
        "failureHandling": settings.failure_handling.value,
        "lateUsageHours": settings.late_usage_hours,
        "monthlyBudget": money_text(settings.monthly_budget_micros),
    }
    return {name: value for name, value in stated.items() if value is not None}


def foresee_credit(store: ReadOnlyCreditStore, event: CreditEvent) -> EventEffect:
    """Book the event upon what is recorded, and return what that would change.

    Raises `Refused` if the functions would refuse it, and `Unavailable`.
    """
    store.transactions.clear()
    before = store.account(event.organization_id)
    lots = (*before.lots, *(store.further_lots(event.organization_id) if before.further else ()))
    (result,) = BookCredit(store, RetryPolicy())([event])
    match result:
        case Accepted(after):
            rows = tuple(_rows(before, lots, after, store.transactions))
            return EventEffect(rows, tuple(_doubts(event, before)))
        case Duplicate():
            return ALREADY_RECORDED
        case error:
            raise error


def _doubts(event: CreditEvent, before: Account) -> Iterator[str]:
    """Yield what is booked as it is said, and is hardly meant."""
    who = event.organization_id
    if not before.version:
        yield _UNKNOWN.format(who)
    match event.change:
        case Purchase(recharge_id=str(named), amount_micros=micros):
            waiting = before.recharge.open
            if waiting is None or waiting.recharge_id != named:
                what = f"open is {waiting.recharge_id}" if waiting else "none is open"
                yield f"{who}: no recharge {named} waits for a payment; {what}"
            elif waiting.amount_micros != micros:
                wanted = _money(before.currency, waiting.amount_micros)
                yield f"{who}: recharge {named} was requested for {wanted}"
        case CreditSettings(auto_recharge=AutoRecharge() as auto) if not auto.may_ever_recharge:
            yield f"{who}: the monthly limit is below one recharge, so none is requested"
        case _:
            pass


def _rows(
    before: Account, lots: Lots, after: Account, transactions: Sequence[Transaction]
) -> Iterator[ChangedValue]:
    named = partial(ChangedValue, before.organization_id)
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
        for notification in transaction.notifications:
            yield named("notification", None, _announced(notification.body, after.currency))


def _changed_lots(
    lots: Lots, entries: Sequence[LedgerEntry]
) -> Iterator[tuple[str, int | None, int]]:
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


def _auto_recharge(auto: AutoRecharge) -> dict[str, Any]:
    stated = {
        "enabled": True,
        "triggerAmount": format_micros(auto.trigger_micros),
        "rechargeAmount": format_micros(auto.recharge_micros),
        "monthlyLimit": money_text(auto.monthly_limit_micros),
    }
    return {name: value for name, value in stated.items() if value is not None}


USERS_AT_ONCE = 1_000

_SOLD_AS = {product: name for name, product in OUR_NAMES.items()}


def read_licensing(
    store: LicensingStore, organization_id: str, user_ids: Iterable[str]
) -> Licensing:
    """Read the timelines of an organization and of any number of its users."""
    wanted = list(dict.fromkeys(user_ids))
    licensing = store.licensing(organization_id, wanted[:USERS_AT_ONCE])
    users = dict(licensing.users)
    for start in range(USERS_AT_ONCE, len(wanted), USERS_AT_ONCE):
        some = wanted[start : start + USERS_AT_ONCE]
        users |= store.licensing(organization_id, some).users
    return Licensing(licensing.organization, users)


def foresee_licensing(
    event: LicensingEvent, licensing: Licensing, recorded: ProcessedEvent | None, *, now: datetime
) -> EventEffect:
    """Add the event's facts to what is recorded, and return what that would change.

    `recorded` is the processed event of an event with the same `changeId`. Raises `Refused` if
    that one said something else.
    """
    if recorded is not None:
        result = against_processed_event(event.processed_event, recorded)
        if isinstance(result, Refused):
            raise result
        return ALREADY_RECORDED
    change = event.change
    known = licensing.organization
    if change.user_id is not None:
        known = licensing.users.get(change.user_id, Timeline())
    after = Timeline(known.facts | set(change.facts))
    subject = change.user_id or change.organization_id
    rows = tuple(
        ChangedValue(
            subject,
            _named(fact.attribute),
            *(
                _shown_value(fact.attribute, timeline.value_at(fact.attribute, fact.effective_at))
                for timeline in (known, after)
            ),
        )
        for fact in change.facts
    )
    warnings = [text for fact in change.facts for text in _warnings(subject, fact, after, now)]
    if not known.facts:
        what = "organization" if change.user_id is None else "user"
        warnings.append(f"{subject}: no licensing event of this {what} is recorded; check the id")
    return EventEffect(rows, tuple(dict.fromkeys(warnings)))


def _warnings(subject: str, fact: Fact, after: Timeline, now: datetime) -> Iterator[str]:
    name, since = _named(fact.attribute), format_instant(fact.effective_at)
    if after.value_at(fact.attribute, fact.effective_at) != fact.value:
        yield f"{subject}: {name} stays as it is, by another statement about {since}"
    later = [change for change in after.changes_of(fact.attribute) if change[0] > fact.effective_at]
    if later:
        at, value = later[0]
        until = format_instant(at)
        yield f"{subject}: {name} holds until {until}, then {_shown_value(fact.attribute, value)}"
    if fact.effective_at < now:
        yield f"{subject}: calls answered since {since} are rated again"


def _named(attribute: str) -> str:
    kind, _, product = attribute.partition(":")
    if not product:
        return attribute
    name = _SOLD_AS.get(product, product)
    return f"license {name}" if kind == "license" else f"{name} licenses purchased"


def _shown_value(attribute: str, value: FactValue | None) -> str | None:
    if attribute.startswith("license:"):
        return "assigned" if value else "not assigned"
    if value is None:
        return None
    if attribute == MONTHLY_SPEND_LIMIT and isinstance(value, int):
        return format_micros(value)
    return json.dumps(value) if isinstance(value, bool) else str(value)
