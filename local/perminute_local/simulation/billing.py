"""A billing system that buys credit, cannot, reports both, does so late, or never answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from perminute.domain.values.times import format_instant
from perminute_local.simulation.faults import rng_of
from perminute_local.simulation.plan import Expected, event_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from perminute_local.simulation.plan import EventSent
    from perminute_local.simulation.scheduler import Scheduler
    from perminute_local.simulation.write_recorder import WriteRecorder

_BOUGHT, _FAILED = "bought", "failed"
_AGAIN, _ELSEWHERE = "again", "elsewhere"
"""The event before is sent again; or another purchase pays the same recharge."""
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
"""A reason as a payment service may send it."""
_FIRST_ATTEMPT_RECEIVED = (1, 1, 1, 2, 4)
"""The first attempt that a slow billing system receives."""


@dataclass
class Billing:
    """Answers each recharge once, by its id, however often it is requested.

    It is prompt for some organizations: their recharges follow each other within minutes.
    """

    scheduler: Scheduler
    recorder: WriteRecorder
    send: Callable[[EventSent, str], None]
    """Sends an event, under its identity."""
    answered: set[str] = field(default_factory=set)

    def receive(self, published: Sequence[Mapping[str, Any]]) -> None:
        """Receive notifications that were published."""
        for notification in published:
            is_new = self.recorder.published[notification["id"]] == 1
            if notification["type"] == "RechargeRequested" and is_new:
                self._consider(json.loads(notification["document"]))

    def _consider(self, request: Mapping[str, Any]) -> None:
        seed, recharge_id = self.scheduler.seed, request["rechargeId"]
        rng = rng_of(seed, "recharge", recharge_id)
        is_prompt = rng_of(seed, "billing", request["organizationId"]).randrange(2) == 0
        first_received = 1 if is_prompt else rng.choice(_FIRST_ATTEMPT_RECEIVED)
        if request["attempt"] < first_received or recharge_id in self.answered:
            return
        self.answered.add(recharge_id)
        seconds = _PROMPT_SECONDS if is_prompt else _SLOW_SECONDS
        at, event = self.scheduler.now, None
        for outcome in rng.choice(_PROMPT_OUTCOMES if is_prompt else _SLOW_OUTCOMES):
            at += timedelta(seconds=rng.choice(seconds))
            identity = f"{outcome}-{recharge_id}"
            if event is None or outcome != _AGAIN:
                event = _answer(identity, outcome, request, at)
            self.scheduler.add(at, identity, partial(self.send, event, identity))


def _answer(identity: str, outcome: str, request: Mapping[str, Any], at: datetime) -> EventSent:
    recharge = {name: request[name] for name in ("organizationId", "rechargeId")}
    if outcome == _FAILED:
        detail = {**recharge, "reason": _REASON}
        return event_sent(identity, "Recharge Failed", at, detail, Expected.EITHER)
    bought = {
        "purchaseId": f"{outcome}-for-{request['rechargeId']}",
        "amount": request["amount"],
        "currency": request["currency"],
        "purchasedAt": format_instant(at),
    }
    return event_sent(identity, "Credit Purchased", at, {**recharge, **bought}, Expected.EITHER)
