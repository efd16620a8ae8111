"""Bridges that forget what they know of a call, and go on by what the API says of it.

They find the call by its id, or in the list of those under way. What they are told must be what
they had known; where there is no answer, they go on as if they had not restarted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.api.endpoints import BY_NAME
from perminute_local.replay.requests import http_event
from perminute_local.simulation.faults import Fault, chance
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute_local.simulation.bridges import Bridges

KNOWN = "what the API says of a call is what its bridge knows"
LISTED = "calls under way are listed"

_OK, _UNAVAILABLE = 200, 503
_PAGE = 2
_MOSTLY_NOT = 3
"""A bridge restarts at one in so many of the moments at which it may."""


class Known(NamedTuple):
    """What a bridge knows of a call, by the names of the API; `total` is what it has reported."""

    sequence: int
    total: int
    granted: int

    @classmethod
    def of(cls, document: dict[str, Any]) -> Known:
        """Take it from what the API says."""
        names = ("sequence", "totalUsedSeconds", "grantedSeconds")
        return cls(*(document[name] for name in names))


def restarted(
    bridges: Bridges, path: dict[str, str], knows: Known, states: Collection[str]
) -> dict[str, Any] | None:
    """Return what the API says of a call to a bridge that has just restarted; None if it has not.

    It must be in one of the `states`.
    """
    seed = bridges.happenings.seed
    drawn = chance(seed, "restart", *path.values(), knows.sequence, *sorted(states))
    if drawn.randrange(_MOSTLY_NOT):
        return None
    looks = _Looks(bridges, path, drawn.random())
    document = looks.in_the_list() if _is_listed(states) and drawn.randrange(2) else looks.by_id()
    if document is None:
        return None
    says = Known.of(document)
    bridges.happenings.log(f"bridge {path['callId']} restarted: {document['state']} {says}")
    if document["state"] not in states or (document["state"] != "ended" and says != knows):
        why = f"{path['callId']}: {document['state']} {says}, but its bridge knows {knows}"
        bridges.effects.broken.append(Broken(KNOWN, why))
    return document


def _is_listed(states: Collection[str]) -> bool:
    return not {"released", "ended"} & set(states)


class _Looks:
    """Looks for one call, by a chance of its own."""

    def __init__(self, bridges: Bridges, path: dict[str, str], label: float) -> None:
        self._bridges, self._path, self._label = bridges, path, label
        self._asked = 0

    def by_id(self) -> dict[str, Any] | None:
        return self._ask("call", self._path)

    def in_the_list(self) -> dict[str, Any] | None:
        """Go through the pages; the call may be missing only where the index lags behind."""
        happened = self._bridges.happenings.gate.happened
        lags, query = happened[Fault.CUT], {"limit": str(_PAGE)}
        path = {"organizationId": self._path["organizationId"]}
        while True:
            page = self._ask("callsUnderWay", path, query)
            if page is None:
                return None
            for document in page["calls"]:
                if document["callId"] == self._path["callId"]:
                    found: dict[str, Any] = document
                    return found
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        if happened[Fault.CUT] == lags:
            why = f"{self._path['callId']} is not in the list of {path['organizationId']}"
            self._bridges.effects.broken.append(Broken(LISTED, why))
        return None

    def _ask(
        self, name: str, path: dict[str, str], query: dict[str, str] | None = None
    ) -> dict[str, Any] | None:
        bridges = self._bridges
        event = http_event(BY_NAME[name], path, query or {}, bridges.happenings.now)
        self._asked += 1
        drawn = chance(bridges.happenings.seed, "look", self._label, self._asked)
        response = bridges.functions.run(bridges.api, drawn, lambda one: one.call(event))
        if response is None or response["statusCode"] == _UNAVAILABLE:
            return None
        document: dict[str, Any] = json.loads(response["body"])
        if response["statusCode"] != _OK:
            why = f"{self._path['callId']}: {document['message']}"
            bridges.effects.broken.append(Broken(KNOWN, why))
            return None
        return document
