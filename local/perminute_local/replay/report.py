"""The results of a replay as tables that a person can read."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, TypedDict

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from perminute.domain.credit.ledger import EntryType
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.values.money import MICROS_PER_UNIT, format_micros
from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import JustifyMethod, RenderableType

    from perminute.adapters.notification_documents import Document
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.replay.results import Rejected, Response, Results


WIDEST = 20_000
"""Wider than any table: in a pipe or a file no line is folded, so that `grep` finds it whole."""


def write_tables(tables: Iterable[RenderableType], console: Console | None = None) -> None:
    """Write tables and lines to standard output, or to the console of a test.

    A terminal folds long sentences. One that is too narrow for a column of ids gets lines that
    are wider than it is, since what is cut off an id cannot be copied.
    """
    screen, shown = console or Console(), list(tables)
    needed = max((_narrowest(screen, one) for one in shown), default=0)
    screen.width = max(screen.width, needed) if screen.is_terminal else WIDEST
    screen.print(*shown, sep="\n")


def _narrowest(screen: Console, table: RenderableType) -> int:
    options = screen.options.update(max_width=WIDEST)
    return Measurement.get(screen, options, table).minimum


class TableStyle(TypedDict):
    """How all our tables look."""

    title_justify: JustifyMethod
    title_style: str
    box: Box


_STYLE: TableStyle = {"title_justify": "left", "title_style": "bold", "box": SIMPLE_HEAD}
_LEG_NAMES = {
    LegType.TOLL_DIAL_IN: "toll dial-in",
    LegType.TOLL_FREE_DIAL_IN: "toll-free dial-in",
    LegType.DIAL_OUT: "dial-out",
    LegType.APP: "app",
}


def report(results: Results) -> Iterator[RenderableType]:
    """Per organization the balance, minutes and cost by leg type, and what credit did not pay."""
    usages: defaultdict[str, list[Usage]] = defaultdict(list)
    for usage in results.usages:
        usages[usage.call.organization_id].append(usage)
    for account in results.accounts:
        organization_id = account.organization_id
        entries = [e for e in results.entries if e.organization_id == organization_id]
        of_organization = usages[organization_id]
        yield _plain(f"{organization_id}: {_balance(account, entries)}", style="bold")
        yield _calls(of_organization)
        if entries:
            yield _lots(organization_id, account, entries)
        for pool in results.pools.get(organization_id, ()):
            yield _plain(
                f"{organization_id}: minute pool of {pool.month}: {pool.used:,} of "
                f"{pool.minutes:,} minutes used"
            )
        if any(usage.outcome is not Outcome.CHARGED for usage in of_organization):
            yield _not_paid(organization_id, of_organization)
    if results.notifications:
        yield _notifications(results.notifications)
    if results.responses:
        yield _responses(results.responses)
    if results.rejected:
        yield _refused(results.rejected)
    yield _summary(results)


def _summary(results: Results) -> Text:
    charged = sum(1 for usage in results.usages if usage.outcome is Outcome.CHARGED)
    rerated = sum(1 for usage in results.usages if Flag.RERATED in usage.flags)
    flagged = sum(1 for usage in results.usages if usage.policy_flag)
    books = "The books agree"
    if results.differences:
        found = "; ".join(f"{one.organization_id}: {one.message}" for one in results.differences)
        books = f"THE BOOKS DIFFER: {one_line(found)}"
    elif results.unread:
        books = "THE BOOKS COULD NOT BE READ"
    return Text(
        f"{len(results.usages)} calls recorded, {charged} of them charged, {rerated} rated again "
        f"after a late change, {flagged} against a policy; "
        f"{len(results.entries)} ledger entries; {len(results.notifications)} notifications; "
        f"{len(results.rejected)} events refused.\n{books}. "
        "What the outcomes and reasons mean: docs/glossary.md"
    )


def _responses(responses: Sequence[Response]) -> Table:
    table = Table(title="requests to the charging API", **_STYLE)
    for name in ("when", "call", "request", "answer"):
        table.add_column(name, no_wrap=name != "answer", overflow="fold")
    for at, request, call_id, answer in responses:
        when = f"{at:%Y-%m-%d %H:%M:%S}" if at else ""
        table.add_row(when, *map(_plain, (call_id, request, _answer(answer))))
    return table


def _answer(answer: Mapping[str, Any]) -> str:
    words = ""
    match answer:
        case {"error": error, "message": message}:
            words = f"{error}: {message}"
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


def _balance(account: Account, entries: Sequence[LedgerEntry]) -> str:
    if not entries:
        return "no credit"
    charged = -sum(e.amount_micros for e in entries if e.of_calls)
    expired = -sum(e.amount_micros for e in entries if e.type is EntryType.EXPIRY)
    balance = format_micros(account.balance_micros)
    put_in = format_micros(account.balance_micros + charged + expired)
    currency = account.currency or "(no currency yet)"
    lost = f" - {format_micros(expired)} expired" if expired else ""
    return (
        f"balance {balance} {currency} = {put_in} put in - {format_micros(charged)} charged{lost}"
    )


def _lots(organization_id: str, account: Account, entries: Sequence[LedgerEntry]) -> Table:
    table = _table(
        f"{organization_id}: lots of credit, in the order in which they pay",
        "lot",
        "expires",
        "came in",
        "used",
        "expired",
        "left",
    )
    came_in, used, expired = Counter[str](), Counter[str](), Counter[str]()
    names: dict[str, str] = {}
    ends: dict[str, str] = {}
    for entry in entries:
        opened = entry.opens and entry.opens.lot_id
        if entry.opens and not entry.of_calls:
            # What paid a debt never was in the lot.
            came_in[entry.entry_id] = entry.amount_micros
            used[entry.entry_id] = -entry.debt_change_micros
        if entry.opens:
            names[entry.entry_id] = entry.opens.purchase_id
        for share in entry.lots:
            if entry.type is EntryType.EXPIRY:
                expired[share.lot_id] -= share.amount_micros
                ends[share.lot_id] = f"{entry.at:%Y-%m-%d}"
            elif share.lot_id != opened:
                used[share.lot_id] -= share.amount_micros
            elif entry.of_calls:
                came_in[share.lot_id] += share.amount_micros
    held = {lot.lot_id: lot for lot in account.lots}
    for lot_id in [*sorted(names.keys() - held), *held]:
        lot = held.get(lot_id)
        table.add_row(
            _plain(names[lot_id]),
            f"{lot.expires_at:%Y-%m-%d}" if lot else ends.get(lot_id, "used up"),
            _aligned(came_in[lot_id]),
            _aligned(used[lot_id]),
            _aligned(expired[lot_id]),
            _aligned(lot.remaining_micros if lot else 0),
        )
    if account.debt_micros:
        table.add_section()
        table.add_row("debt", "", "", "", "", _aligned(-account.debt_micros))
    return table


def _notifications(notifications: Sequence[Document]) -> Table:
    table = Table(title="notifications", **_STYLE)
    table.add_column("when", no_wrap=True)
    table.add_column("subject", overflow="fold")
    single = Counter((n["organizationId"], n["type"]) for n in notifications if "callId" in n)
    for one in notifications:
        if "callId" not in one:
            table.add_row(f"{one['at'][:10]} {one['at'][11:16]}", _plain(one["subject"]))
    for (organization_id, kind), count in sorted(single.items()):
        table.add_row("", _plain(f"{organization_id}: {kind}, {count} in all"))
    return table


def _calls(usages: Sequence[Usage]) -> Table:
    table = _table(None, "call", "calls", "charged", "billed minutes", "pool", "cost")
    for leg_type, name in _LEG_NAMES.items():
        of_type = [usage for usage in usages if usage.call.leg_type is leg_type]
        if of_type:
            table.add_row(name, *_figures(of_type))
    table.add_section()
    table.add_row("all", *_figures(usages))
    return table


def _figures(usages: Sequence[Usage]) -> tuple[str, ...]:
    charged = [usage for usage in usages if usage.outcome is Outcome.CHARGED]
    seconds = sum(usage.price.billed_seconds for usage in charged)
    return (
        str(len(usages)),
        str(len(charged)),
        f"{-(-seconds // 60):,}",
        f"{sum(usage.pool_minutes for usage in usages):,}",
        _aligned(sum(usage.charge_micros for usage in charged)),
    )


def _not_paid(organization_id: str, usages: Sequence[Usage]) -> Table:
    title = f"{organization_id}: calls that credit did not pay"
    table = _table(title, "outcome", "reason", "calls", "retail cost", "currency")
    # Amounts of two currencies are never added up.
    groups: defaultdict[tuple[str, str, str], list[Usage]] = defaultdict(list)
    for usage in usages:
        if usage.outcome is not Outcome.CHARGED:
            currency = usage.stated_price.currency or ""
            groups[usage.outcome, usage.reason or "", currency].append(usage)
    for (outcome, reason, currency), of_group in sorted(groups.items()):
        amounts = [usage.stated_price.retail_micros for usage in of_group]
        stated = [micros for micros in amounts if micros is not None]
        cost = _aligned(sum(stated)) if stated else "-"
        table.add_row(outcome, reason, str(len(of_group)), cost, currency)
    return table


def _refused(rejected: Sequence[Rejected]) -> Table:
    table = Table(title="refused events", **_STYLE)
    table.add_column("event", no_wrap=True)
    table.add_column("why", overflow="fold")
    for event_id, reason in rejected:
        table.add_row(_plain(event_id), _plain(reason))
    return table


def _table(title: str | None, *columns: str) -> Table:
    table = Table(title=_title(title) if title else None, **_STYLE)
    for column in columns:
        text = column in {"call", "lot", "expires", "outcome", "reason", "currency"}
        table.add_column(column, justify="left" if text else "right", no_wrap=True)
    return table


def _title(text: str) -> Text:
    # In one line, even if the table below it is narrower.
    title = _plain(text)
    title.no_wrap, title.overflow = True, "ignore"
    return title


def _aligned(micros: int) -> str:
    # With all six decimals, so that a column adds up by eye.
    whole, fraction = divmod(abs(micros), MICROS_PER_UNIT)
    return f"{'-' if micros < 0 else ''}{whole:,}.{fraction:06d}"


def _plain(text: str, style: str = "") -> Text:
    return Text(one_line(text), style)
