"""What a notification says of its call and of its organization, held against what is recorded."""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING

from perminute.domain.licensing.attributes import NAME
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backend import Seen
    from perminute_local.simulation.write_recorder import Effects

CARRIED = "a notification of a call says what is recorded"
NAMED = "a notification has the name of its organization"
_CARRIED = ("organizerId", "legType", "number", "answeredAt", "retailCost")


def misstated(effects: Effects) -> Iterator[Broken]:
    """Find notifications that say something else of a call than the record written with them."""
    for document, usage in effects.recorded_with:
        said = {name: document.get(name) for name in _CARRIED}
        if said != _recorded(usage):
            why = f"{document['type']} of {usage.call.call_id} says {said}, not {_recorded(usage)}"
            yield Broken(CARRIED, why)


def _recorded(usage: Usage) -> dict[str, str | None]:
    call, number = usage.call, usage.call.rated_number
    retail_micros = usage.stated_price.retail_micros
    return {
        "organizerId": call.organizer_id,
        "legType": call.leg_type.value,
        # What is masked already ends with as many asterisks.
        "number": f"{number[:-4]}****" if number else None,
        "answeredAt": format_instant(call.answered_at) if call.answered_at else None,
        "retailCost": None if retail_micros is None else format_micros(retail_micros),
    }


def misnamed(effects: Effects, seen: Mapping[str, Seen]) -> Iterator[Broken]:
    """Find names in notifications that their organization never had, or that were lost again.

    The first ones may be sent before anybody has said what an organization is called.
    """
    for organization_id, one in seen.items():
        known = {fact.value for user, fact in one.facts if user is None and fact.attribute == NAME}
        shown = effects.names.get(organization_id, ())
        for name in dropwhile(lambda name: name is None, shown):
            if name not in known:
                yield Broken(NAMED, f"{organization_id} is called {name}, and not one of {known}")
