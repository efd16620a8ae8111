"""Somebody who is asked to buy credit: does so, cannot, says both, late, or is never heard of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from perminute.domain.values.times import format_instant
from perminute_local.simulation.faults import chance
from perminute_local.simulation.plan import event_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from perminute_local.simulation.scheduler import Happenings
    from perminute_local.simulation.write_recorder import Effects

_BOUGHT, _FAILED, _AGAIN, _ELSEWHERE = "bought", "failed", "again", "elsewhere"
"""It was bought; it could not be; the first of these is sent once more; it was bought twice."""
_PROMPT_OUTCOMES = ((_BOUGHT,),) * 7 + ((_FAILED,), (_FAILED, _BOUGHT))
_SLOW_OUTCOMES = (
    (_BOUGHT,),
    (_BOUGHT,),
    (_FAILED,),
    (_BOUGHT, _FAILED),
    (_FAILED, _BOUGHT),
    (_BOUGHT, _AGAIN),
    (_BOUGHT, _ELSEWHERE),
    (),
)
_PROMPT_SECONDS = (1, 60)
_SLOW_SECONDS = (1, 60, 4_000, 100_000, 400_000)
_REASON = "expired card\r\n\x1b[2J\u202eNo action needed."
"""As a payment service gives it that takes its words from elsewhere."""
_HEARS_ATTEMPT = (1, 1, 1, 2, 4)
"""The first attempt that reaches a slow one: those before are lost on its side."""


@dataclass
class Billing:
    """Answers each recharge once, by its id, however often it is asked to buy it.

    That of some organizations is prompt: their recharges follow each other within minutes.
    """

    happenings: Happenings
    effects: Effects
    send: Callable[[str, str], None]
    """Sends an event, under its identity."""
    answered: set[str] = field(default_factory=set)

    def hear(self, published: Sequence[Mapping[str, Any]]) -> None:
        """Hear of what was published."""
        for told in published:
            if told["type"] == "RechargeRequested" and self.effects.announced[told["id"]] == 1:
                self._consider(json.loads(told["document"]))

    def _consider(self, asked: Mapping[str, Any]) -> None:
        seed, name = self.happenings.seed, asked["rechargeId"]
        drawn = chance(seed, "recharge", name)
        is_prompt = chance(seed, "billing", asked["organizationId"]).randrange(2) == 0
        hears = 1 if is_prompt else drawn.choice(_HEARS_ATTEMPT)
        if asked["attempt"] < hears or name in self.answered:
            return
        self.answered.add(name)
        seconds = _PROMPT_SECONDS if is_prompt else _SLOW_SECONDS
        at, body = self.happenings.now, ""
        for outcome in drawn.choice(_PROMPT_OUTCOMES if is_prompt else _SLOW_OUTCOMES):
            at += timedelta(seconds=drawn.choice(seconds))
            identity = f"{outcome}-{name}"
            body = body if outcome == _AGAIN else _answer(identity, outcome, asked, at)
            self.happenings.add(at, identity, partial(self.send, body, identity))


def _answer(identity: str, outcome: str, asked: Mapping[str, Any], at: datetime) -> str:
    kind, detail = _said(outcome, asked, at)
    recharge = {name: asked[name] for name in ("organizationId", "rechargeId")}
    return event_body(identity, "billing", kind, at, {**recharge, **detail})


def _said(outcome: str, asked: Mapping[str, Any], at: datetime) -> tuple[str, dict[str, str]]:
    if outcome == _FAILED:
        return "Recharge Failed", {"reason": _REASON}
    return "Credit Purchased", {
        "purchaseId": f"{outcome}-for-{asked['rechargeId']}",
        "amount": asked["amount"],
        "currency": asked["currency"],
        "purchasedAt": format_instant(at),
    }
