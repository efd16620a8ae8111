"""What an event about licenses, users or an organization would change of its timeline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.application.results import against_processed_event
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import MONTHLY_SPEND_LIMIT
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.reference.licenses import OUR_NAMES
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute_local.admin.foreseen import ALREADY_RECORDED, Foreseen, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from perminute.application.apply_licensing import LicensingEvent
    from perminute.domain.credit.transaction import ProcessedEvent
    from perminute.domain.licensing.attributes import FactValue
    from perminute.domain.licensing.timelines import Fact
    from perminute.ports import LicensingStore

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
) -> Foreseen:
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
        Row(
            subject,
            _named(fact.attribute),
            *(
                _shown(fact.attribute, one.value_at(fact.attribute, fact.effective_at))
                for one in (known, after)
            ),
        )
        for fact in change.facts
    )
    warnings = [text for fact in change.facts for text in _warnings(subject, fact, after, now)]
    if not known.facts:
        what = "organization" if change.user_id is None else "user"
        warnings.append(f"{subject}: no licensing event of this {what} is recorded; check the id")
    return Foreseen(rows, tuple(dict.fromkeys(warnings)))


def _warnings(subject: str, fact: Fact, after: Timeline, now: datetime) -> Iterator[str]:
    name, since = _named(fact.attribute), format_instant(fact.effective_at)
    if after.value_at(fact.attribute, fact.effective_at) != fact.value:
        yield f"{subject}: {name} stays as it is, by another statement about {since}"
    later = [one for one in after.changes_of(fact.attribute) if one[0] > fact.effective_at]
    if later:
        at, value = later[0]
        until = format_instant(at)
        yield f"{subject}: {name} holds until {until}, then {_shown(fact.attribute, value)}"
    if fact.effective_at < now:
        yield f"{subject}: calls answered since {since} are rated again"


def _named(attribute: str) -> str:
    kind, _, product = attribute.partition(":")
    if not product:
        return attribute
    name = _SOLD_AS.get(product, product)
    return f"license {name}" if kind == "license" else f"{name} licenses purchased"


def _shown(attribute: str, value: FactValue | None) -> str | None:
    if attribute.startswith("license:"):
        return "assigned" if value else "not assigned"
    if value is None:
        return None
    if attribute == MONTHLY_SPEND_LIMIT and isinstance(value, int):
        return format_micros(value)
    return json.dumps(value) if isinstance(value, bool) else str(value)
