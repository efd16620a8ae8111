"""Somebody who is asked to buy credit: does so, cannot, says both, or is never heard of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from perminute.domain.times import format_instant
from perminute_local.simulation.faults import chance
from perminute_local.simulation.plan import event_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from perminute_local.simulation.effects import Effects
    from perminute_local.simulation.happenings import Happenings

_OUTCOMES = (
    ("bought",),
    ("bought",),
    ("bought",),
    ("failed",),
    ("bought", "failed"),
    (),
)
_SECONDS = (1, 60, 4_000, 100_000)


@dataclass
class Billing:
    """Answers each `RechargeRequested` when it is heard of first."""

    happenings: Happenings
    effects: Effects
    send: Callable[[str, str], None]
    """Sends an event, under its identity."""

    def hear(self, published: Sequence[Mapping[str, Any]]) -> None:
        """Hear of what was published."""
        for told in published:
            if told["type"] == "RechargeRequested" and self.effects.announced[told["id"]] == 1:
                self._answer(json.loads(told["document"]))

    def _answer(self, asked: Mapping[str, Any]) -> None:
        drawn = chance(self.happenings.seed, "recharge", asked["rechargeId"])
        at = self.happenings.now + timedelta(seconds=drawn.choice(_SECONDS))
        for outcome in drawn.choice(_OUTCOMES):
            identity = f"{outcome}-{asked['rechargeId']}"
            kind, detail = _said(outcome, asked, at)
            recharge = {name: asked[name] for name in ("organizationId", "rechargeId")}
            body = event_body(identity, "billing", kind, at, {**recharge, **detail})
            self.happenings.add(at, identity, partial(self.send, body, identity))


def _said(outcome: str, asked: Mapping[str, Any], at: datetime) -> tuple[str, dict[str, str]]:
    if outcome == "failed":
        return "Recharge Failed", {"reason": "expired card"}
    return "Credit Purchased", {
        "purchaseId": f"for-{asked['rechargeId']}",
        "amount": asked["amount"],
        "currency": asked["currency"],
        "purchasedAt": format_instant(at),
    }
