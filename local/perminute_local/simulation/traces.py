"""What is told can be read, and names the event that it is told for."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from perminute.application.book_credit import CreditEvent, FailedRecharge
from perminute.application.charge_calls import EndedCall
from perminute.application.correlation import traceable
from perminute.domain.credit.booking import Purchase
from perminute_local.simulation.write_recorder import Broken, Effects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from perminute_local.simulation.invariants import Opened

TRACED = "what is told names the event that it is told for"
_OF_RECHARGES = {"RechargeFailed", "RechargeSucceeded"}


def untraced(effects: Effects, opened: Iterable[Opened]) -> Iterator[Broken]:
    """Find notifications whose `correlationId` leads nowhere, or to an event of something else.

    A run, of which the world knows no id, is behind some: what time brings, and settled pools.
    """
    events: defaultdict[str, list[Opened]] = defaultdict(list)
    for one in opened:
        events[traceable(one.event_id)].append(one)
    for name, document in effects.told.items():
        found = events[document.get("correlationId", "")]
        if not document.get("correlationId"):
            yield Broken(TRACED, f"{document['type']} {name} names nothing")
        elif name in effects.of_new_calls and not any(_reports(one, document) for one in found):
            yield Broken(TRACED, _why(document, f"call {document['callId']}"))
        elif document["type"] in _OF_RECHARGES and not any(_pays(one, document) for one in found):
            yield Broken(TRACED, _why(document, f"recharge {document['rechargeId']}"))


def _reports(one: Opened, document: Mapping[str, Any]) -> bool:
    return (
        isinstance(one, EndedCall)
        and one.call.organization_id == document["organizationId"]
        and one.call.call_id == document["callId"]
    )


def _pays(one: Opened, document: Mapping[str, Any]) -> bool:
    match one:
        case CreditEvent(change=Purchase(recharge_id=name) | FailedRecharge(recharge_id=name)):
            asked = document["organizationId"], document["rechargeId"]
            return (one.organization_id, name) == asked
        case _:
            return False


def _why(document: Mapping[str, Any], what: str) -> str:
    return (
        f"{document['type']} of {document['organizationId']} names {document['correlationId']}, "
        f"which says nothing of {what}"
    )
