"""The results of a replay as tables that a person can read."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from perminute.domain.legs import LegType
from perminute.domain.money import format_micros
from perminute.domain.usage import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from perminute.domain.accounts import Account
    from perminute.domain.usage import Usage
    from perminute_local.replay.results import Rejected, Results

_LEG_NAMES = {
    LegType.TOLL_DIAL_IN: "toll dial-in",
    LegType.TOLL_FREE_DIAL_IN: "toll-free dial-in",
    LegType.DIAL_OUT: "dial-out",
    LegType.APP: "app",
}


def report(results: Results) -> Iterator[RenderableType]:
    """Per organization the balance, and minutes and cost by leg type; then what was refused."""
    usages: defaultdict[str, list[Usage]] = defaultdict(list)
    for usage in results.usages:
        usages[usage.leg.organization_id].append(usage)
    for account in results.accounts:
        yield _organization(account, usages.pop(account.organization_id, []))
    for organization_id, of_organization in usages.items():
        yield _legs(f"{organization_id}: no account", of_organization)
    yield _not_charged(results.usages)
    yield _refused(results.rejected)


def _organization(account: Account, usages: Sequence[Usage]) -> Table:
    balance = f"{format_micros(account.balance_micros)} {account.currency or ''}"
    return _legs(f"{account.organization_id}: balance {balance}", usages)


def _legs(title: str, usages: Sequence[Usage]) -> Table:
    table = _table(title, "leg", "calls", "charged", "billed minutes", "cost")
    for leg_type, name in _LEG_NAMES.items():
        of_type = [usage for usage in usages if usage.leg.leg_type is leg_type]
        if of_type:
            table.add_row(name, *_figures(of_type))
    table.add_section()
    table.add_row("all", *_figures(usages))
    return table


def _figures(usages: Sequence[Usage]) -> tuple[str, str, str, str]:
    charged = [usage for usage in usages if usage.outcome is Outcome.CHARGED]
    seconds = sum(usage.price.billed_seconds for usage in charged)
    minutes, rest = divmod(seconds, 60)
    return (
        str(len(usages)),
        str(len(charged)),
        f"{minutes}:{rest:02d}" if rest else str(minutes),
        format_micros(sum(usage.charge_micros for usage in charged)),
    )


def _not_charged(usages: Sequence[Usage]) -> Table:
    table = _table("calls that credit did not pay", "outcome", "reason", "calls", "retail cost")
    counts: Counter[tuple[str, str]] = Counter()
    retail: Counter[tuple[str, str]] = Counter()
    for usage in usages:
        if usage.outcome is not Outcome.CHARGED:
            key = (usage.outcome.value, usage.reason.value if usage.reason else "")
            counts[key] += 1
            retail[key] += usage.price.retail_micros or 0
    for (outcome, reason), calls in sorted(counts.items()):
        table.add_row(outcome, reason, str(calls), format_micros(retail[outcome, reason]))
    return table


def _refused(rejected: Sequence[Rejected]) -> Table:
    table = Table(title="refused events", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("event", no_wrap=True)
    table.add_column("why", overflow="fold")
    for event_id, reason in rejected:
        table.add_row(event_id, reason)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in columns:
        text = column in {"leg", "outcome", "reason"}
        table.add_column(column, justify="left" if text else "right")
    return table
