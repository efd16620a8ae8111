"""Explanations of calls, against what is stored of them."""

from __future__ import annotations

from itertools import chain, islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from perminute.application.reporting.explain_call import explain_call
from perminute.application.retry import NEVER, RetryPolicy
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.rating.usage_record import Flag
from perminute_local.simulation.invariants.invariant import invariant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.reporting.explanation import Explanation
    from perminute.domain.reporting.postings import Revision, UsageList
    from perminute_local.simulation.backends.backend import Snapshot


_ONE_OF = 10
"""Of the many calls that nothing has changed, which are alike, each tenth is explained."""


@invariant
def explain_all_calls(
    organization_id: str, stored: Snapshot, cards: Mapping[str, RateCard]
) -> Iterator[str]:
    """Each call is explained, and its explanation agrees with its record and the ledger."""
    reader: Any = _reader(stored, cards)
    for call_id in chain(_changed(stored), islice(stored.usages, 0, None, _ONE_OF)):
        _, explanation = explain_call(reader, organization_id, call_id, NEVER)
        for fault in _faults(explanation, stored):
            yield f"{call_id}: {fault}"


def _changed(stored: Snapshot) -> Iterator[str]:
    for call_id, usage in stored.usages.items():
        if usage.adjustments or Flag.RERATED in usage.flags:
            yield call_id


def _faults(explanation: Explanation, stored: Snapshot) -> Iterator[str]:
    usage, entries = explanation.usage, {one.entry_id: one for one in stored.statement.entries}
    is_masked = usage.content_digest is not None
    if explanation.differences or explanation.pending or explanation.has_card is is_masked:
        yield f"{explanation.differences} differ, {explanation.pending} is pending"
    moved = [(one.entry_id, one.amount_micros) for one in explanation.movements if one.entry_id]
    if moved != [(entry, micros) for entry, micros in usage.movements if micros]:
        yield f"{moved} were moved, and its record says {usage.movements}"
    for movement in explanation.movements:
        entry = entries.get(movement.entry_id or "")
        booked = entry and (entry.type, entry.at, entry.cause)
        if entry and booked != (movement.type, movement.at, movement.cause):
            yield f"{movement} is booked as {booked}"
    call, user = usage.call, stored.licensing.user(usage.call.organizer_id)
    for product, _, in_force in explanation.licenses:
        attribute = license_attribute(product)
        stated = {fact.event_id for fact in user.facts if fact.attribute == attribute}
        if user.value_at(attribute, call.rated_at) is not True or in_force.event_id not in stated:
            yield f"{product} is in force since {in_force}, and {stated} state it"


def _reader(stored: Snapshot, cards: Mapping[str, RateCard]) -> object:
    """Return what reports are read from, over what is stored."""
    lists = [(max(usage.ended_at for usage in one.usages), one) for one in stored.posted.lists]
    revised = [
        (max(usage.before.ended_at for usage in one.usages), one) for one in stored.posted.revisions
    ]

    def usage_lists(_: str, *, since: datetime, until: datetime) -> Iterator[UsageList]:
        return (listed for end, listed in lists if since <= end < until)

    def revisions(_: str, *, since: datetime, until: datetime) -> Iterator[Revision]:
        return (revision for end, revision in revised if since <= end < until)

    entries = {entry.entry_id: entry for entry in stored.statement.entries}
    return SimpleNamespace(
        postings=SimpleNamespace(
            account=lambda _: stored.account, usage_lists=usage_lists, revisions=revisions
        ),
        credit=SimpleNamespace(entry=lambda _, entry_id: entries.get(entry_id)),
        calls=SimpleNamespace(
            usages=lambda _, call_ids: [stored.usages[call_id] for call_id in call_ids]
        ),
        licensing=SimpleNamespace(for_account=lambda *_: stored.licensing),
        rate_cards=SimpleNamespace(version=cards.__getitem__),
        reratings=SimpleNamespace(waiting=lambda _: ()),
        retry=RetryPolicy(attempts=1),
    )
