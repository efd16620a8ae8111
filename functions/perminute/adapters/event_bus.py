"""The event bus, as far as functions send events to it."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from perminute.domain.errors import Unavailable
from perminute.formats.licensing_events import licensing_event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perminute.domain.licensing.graph_users import DatedChange

MAX_ENTRIES = 10
"""Events of a request (AWS: PutEvents). Ten of ours have far less than the 256 KB of a request."""


class EventBridgeLicensing:
    """`LicensingEvents` over EventBridge, whose client is made for the first event."""

    def __init__(self, make_client: Callable[[], Any], bus: str) -> None:
        self._client = cache(make_client)
        self._bus = bus

    def send(self, organization_id: str, changes: Sequence[DatedChange]) -> None:
        for start in range(0, len(changes), MAX_ENTRIES):
            some = changes[start : start + MAX_ENTRIES]
            self._put([self._entry(organization_id, change) for change in some])

    def _entry(self, organization_id: str, dated: DatedChange) -> dict[str, Any]:
        event = licensing_event_of(dated.change, organization_id, dated.at)
        return {
            "EventBusName": self._bus,
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Time": dated.at,
            "Detail": json.dumps(event["detail"]),
        }

    def _put(self, entries: list[dict[str, Any]]) -> None:
        try:
            answer = self._client().put_events(Entries=entries)
        except (BotoCoreError, ClientError) as error:
            msg = f"{self._bus}: {error}"
            raise Unavailable(msg) from error
        # EventBridge answers 200 for entries that it did not take.
        refused = [entry for entry in answer["Entries"] if "EventId" not in entry]
        if refused:
            msg = f"{self._bus} did not take an event: {refused[0].get('ErrorCode')}"
            raise Unavailable(msg)
