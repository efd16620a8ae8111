"""The results of a replay as tables that a person can read."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from perminute.domain.credit.ledger import EntryType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.values.identifiers import canonical_id
from perminute.domain.values.money import MICROS_PER_UNIT, format_micros
from perminute.domain.values.printable import counted, one_line, words_of
from perminute_local.reports.kinds import REPORTS
from perminute_local.reports.source import Question
from perminute_local.tables import LEG_NAMES, STYLE, plain, title_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from perminute.adapters.notification_documents import Document
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.replay.results import PoolUse, Rejected, Response, Results


@dataclass(slots=True)
class Figures:
    """The sums of some calls."""

    calls: int = 0
    charged: int = 0
    charged_seconds: int = 0
    pool_minutes: int = 0
    charge_micros: int = 0

    def add(self, usage: Usage) -> None:
        """Add a call."""
        self.calls += 1
        self.pool_minutes += usage.pool_minutes
        if usage.outcome is Outcome.CHARGED:
            self.charged += 1
            self.charged_seconds += usage.price.billed_seconds
            self.charge_micros += usage.charge_micros

    def cells(self) -> tuple[str, ...]:
        """Return the cells of a row."""
        return (
            str(self.calls),
            str(self.charged),
            f"{-(-self.charged_seconds // 60):,}",
            f"{self.pool_minutes:,}",
            _aligned(self.charge_micros),
        )


@dataclass(slots=True)
class Unpaid:
    """Calls that credit did not pay."""

    calls: int = 0
    retail_micros: int | None = None  # None, none of them has a price


@dataclass(slots=True)
class CallFigures:
    """The calls of an organization, and of all."""

    by_type: defaultdict[LegType | None, Figures] = field(
        default_factory=lambda: defaultdict(Figures)
    )
    """None: of any type."""
    unpaid: defaultdict[tuple[str, str, str], Unpaid] = field(
        default_factory=lambda: defaultdict(Unpaid)
    )
    """By outcome, reason and currency: amounts of two currencies are never added up."""
    rerated: int = 0
    flagged: int = 0

    def add(self, usage: Usage) -> None:
        """Add a call."""
        self.by_type[None].add(usage)
        self.by_type[usage.call.leg_type].add(usage)
        self.rerated += Flag.RERATED in usage.flags
        self.flagged += bool(usage.policy_flag)
        if usage.outcome is not Outcome.CHARGED:
            price = usage.stated_price
            group = self.unpaid[usage.outcome, usage.reason or "", price.currency or ""]
            group.calls += 1
            if price.retail_micros is not None:
                group.retail_micros = (group.retail_micros or 0) + price.retail_micros


@dataclass(slots=True)
class LedgerFigures:
    """The ledger of an organization."""

    entries: int = 0
    charged_micros: int = 0
    expired_micros: int = 0
    came_in: Counter[str] = field(default_factory=Counter)  # these by lot
    used: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)

    def add(self, entry: LedgerEntry) -> None:
        """Add an entry."""
        self.entries += 1
        if entry.of_calls:
            self.charged_micros -= entry.amount_micros
        if entry.type is EntryType.EXPIRY:
            self.expired_micros -= entry.amount_micros
        opened = entry.opens and entry.opens.lot_id
        if entry.opens and not entry.of_calls:
            # What paid a debt never was in the lot.
            self.came_in[entry.entry_id] = entry.amount_micros
            self.used[entry.entry_id] = -entry.debt_change_micros
        if entry.opens:
            self.names[entry.entry_id] = entry.opens.purchase_id
        for share in entry.lots:
            if entry.type is EntryType.EXPIRY:
                self.expired[share.lot_id] -= share.amount_micros
                self.ends[share.lot_id] = f"{entry.at:%Y-%m-%d}"
            elif share.lot_id != opened:
                self.used[share.lot_id] -= share.amount_micros
            elif entry.of_calls:
                self.came_in[share.lot_id] += share.amount_micros


def report(results: Results) -> Iterator[RenderableType]:
    """Per organization the balance, minutes and cost by leg type, and what credit did not pay."""
    # Added up in one go each: there may be a million of them.
    calls: defaultdict[str, CallFigures] = defaultdict(CallFigures)
    for usage in results.usages:
        calls[usage.call.organization_id].add(usage)
    ledgers: defaultdict[str, LedgerFigures] = defaultdict(LedgerFigures)
    for entry in results.entries:
        ledgers[entry.organization_id].add(entry)
    for account in results.accounts:
        name = account.organization_id
        yield from _of_organization(
            account, calls[name], ledgers[name], results.pools.get(name, ())
        )
    if results.notifications:
        yield _notifications(results.notifications)
    if results.responses:
        yield _responses(results.responses)
    if results.rejected:
        yield _refused(results.rejected)
    yield _summary(results, list(calls.values()))
    for response in results.responses:
        yield from _reported(response)


def _of_organization(
    account: Account, calls: CallFigures, ledger: LedgerFigures, pools: Iterable[PoolUse]
) -> Iterator[RenderableType]:
    organization_id = account.organization_id
    yield plain(f"{organization_id}: {_balance(account, ledger)}", style="bold")
    yield _calls(calls)
    if ledger.entries:
        yield _lots(account, ledger)
    for pool in pools:
        yield plain(
            f"{organization_id}: minute pool of {pool.month}: {pool.used:,} of "
            f"{pool.minutes:,} minutes used"
        )
    if calls.unpaid:
        yield _not_paid(organization_id, calls)


def _summary(results: Results, calls: Sequence[CallFigures]) -> Text:
    charged = sum(call.by_type[None].charged for call in calls)
    rerated, flagged = sum(call.rerated for call in calls), sum(call.flagged for call in calls)
    books = "The books agree"
    if results.differences:
        found = "; ".join(
            f"{difference.organization_id}: {difference.message}"
            for difference in results.differences
        )
        books = f"THE BOOKS DIFFER: {one_line(found)}"
    elif results.unread:
        books = "THE BOOKS COULD NOT BE READ"
    return Text(
        f"{counted(len(results.usages), 'call')} recorded, {charged} of them charged, "
        f"{rerated} rated again after a late change, {flagged} against a policy; "
        f"{counted(len(results.entries), 'ledger entry', 'ledger entries')}; "
        f"{counted(len(results.notifications), 'notification')}; "
        f"{counted(len(results.rejected), 'event')} refused.\n{books}. "
        "What the outcomes and reasons mean: docs/glossary.md"
    )


def _responses(responses: Sequence[Response]) -> Table:
    table = Table(title="requests to the charging API, and for reports", **STYLE)
    for name in ("when", "call", "request", "answer"):
        table.add_column(name, no_wrap=name != "answer", overflow="fold")
    for at, request, asked, answer in responses:
        when = f"{at:%Y-%m-%d %H:%M:%S}" if at else ""
        call_id = canonical_id(str(asked.get("callId") or ""))
        table.add_row(when, *map(plain, (call_id, request, _answer(answer))))
    return table


def _answer(answer: Mapping[str, Any]) -> str:
    words = ""
    match answer:
        case {"error": error, "message": message}:
            words = f"{error}: {message}"
        case {"asOf": {"version": version}}:
            words = f"a report as of version {version}"
        case {"decision": "deny", "reason": reason, "limit": limit}:
            words = f"denied, {reason}" + (f" ({limit})" if limit else "")
        case {"decision": _, "grantedSeconds": 0}:
            words = "released"
        case {"grantedSeconds": seconds, "finalUnit": final, "paidBy": payer}:
            words = f"{seconds} s granted, paid by {payer}" + (", the final grant" if final else "")
        case {"available": available, "reserved": reserved}:
            words = f"{available} available, {reserved} reserved"
        case {"state": state, "totalUsedSeconds": seconds}:
            words = f"{state}, {seconds} s used"
        case {"calls": calls, "next": further}:
            words = f"{len(calls)} under way" + (", and more" if further else "")
        case {"retailCost": cost, "outcome": outcome}:
            words = f"{cost or 'no price'}" + (f", {outcome}" if outcome else "")
    return words


def _reported(response: Response) -> Iterator[RenderableType]:
    _, name, asked, answer = response
    tables = REPORTS[name].tables if name in REPORTS else None
    if tables is not None and "asOf" in answer and "csv" not in answer:
        yield from tables(Question(name, asked["organizationId"], asked), answer)


def _balance(account: Account, ledger: LedgerFigures) -> str:
    if not ledger.entries:
        return "no credit"
    charged, expired = ledger.charged_micros, ledger.expired_micros
    balance = format_micros(account.balance_micros)
    put_in = format_micros(account.balance_micros + charged + expired)
    currency = account.currency or "(no currency yet)"
    lost = f" - {format_micros(expired)} expired" if expired else ""
    return (
        f"balance {balance} {currency} = {put_in} put in - {format_micros(charged)} charged{lost}"
    )


def _lots(account: Account, ledger: LedgerFigures) -> Table:
    table = _table(
        f"{account.organization_id}: lots of credit, in the order in which they pay",
        "lot",
        "expires",
        "came in",
        "used",
        "expired",
        "left",
    )
    held = {lot.lot_id: lot for lot in account.lots}
    for lot_id in [*sorted(ledger.names.keys() - held), *held]:
        lot = held.get(lot_id)
        table.add_row(
            plain(ledger.names[lot_id]),
            f"{lot.expires_at:%Y-%m-%d}" if lot else ledger.ends.get(lot_id, "used up"),
            _aligned(ledger.came_in[lot_id]),
            _aligned(ledger.used[lot_id]),
            _aligned(ledger.expired[lot_id]),
            _aligned(lot.remaining_micros if lot else 0),
        )
    if account.debt_micros:
        table.add_section()
        table.add_row("debt", "", "", "", "", _aligned(-account.debt_micros))
    return table


def _notifications(notifications: Sequence[Document]) -> Table:
    table = Table(title="notifications", **STYLE)
    table.add_column("when", no_wrap=True)
    table.add_column("subject", overflow="fold")
    single = Counter((n["organizationId"], n["type"]) for n in notifications if "callId" in n)
    for notification in notifications:
        if "callId" not in notification:
            table.add_row(
                f"{notification['at'][:10]} {notification['at'][11:16]}",
                plain(notification["subject"]),
            )
    for (organization_id, kind), count in sorted(single.items()):
        table.add_row("", plain(f"{organization_id}: {kind}, {count} in all"))
    return table


def _calls(calls: CallFigures) -> Table:
    table = _table(None, "call", "calls", "charged", "their billed minutes", "pool", "cost")
    for leg_type, name in LEG_NAMES.items():
        if leg_type in calls.by_type:
            table.add_row(name, *calls.by_type[leg_type].cells())
    table.add_section()
    table.add_row("all", *calls.by_type[None].cells())
    return table


def _not_paid(organization_id: str, calls: CallFigures) -> Table:
    title = f"{organization_id}: calls that credit did not pay"
    table = _table(title, "outcome", "reason", "calls", "retail cost", "currency")
    for (outcome, reason, currency), group in sorted(calls.unpaid.items()):
        cost = "-" if group.retail_micros is None else _aligned(group.retail_micros)
        table.add_row(words_of(outcome), words_of(reason), str(group.calls), cost, currency)
    return table


def _refused(rejected: Sequence[Rejected]) -> Table:
    table = Table(title="refused events", **STYLE)
    table.add_column("event", no_wrap=True)
    table.add_column("why", overflow="fold")
    for event_id, reason in rejected:
        table.add_row(plain(event_id), plain(reason))
    return table


def _table(title: str | None, *columns: str) -> Table:
    table = Table(title=title_line(title) if title else None, **STYLE)
    for column in columns:
        text = column in {"call", "lot", "expires", "outcome", "reason", "currency"}
        table.add_column(column, justify="left" if text else "right", no_wrap=True)
    return table


def _aligned(micros: int) -> str:
    # With all six decimals, so that a column adds up by eye.
    whole, fraction = divmod(abs(micros), MICROS_PER_UNIT)
    return f"{'-' if micros < 0 else ''}{whole:,}.{fraction:06d}"
