"""Reports outcomes on perminute's event bus."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pay_recharges.recharges import Outcome

SOURCE = "perminute.billing"


class NotReported(Exception):  # noqa: N818 - what became of the event
    """EventBridge did not take the event: report it again."""


class EventBridge(Protocol):
    """The one call of boto3's client for EventBridge that is used here."""

    def put_events(self, *, Entries: list[Any]) -> Any:  # noqa: N803, ANN401 - as boto3 has it
        """Put up to ten events."""
        ...


@dataclass(frozen=True, slots=True)
class EventBus:
    """perminute's event bus: the output `EventBusName` of its stack."""

    client: EventBridge
    name: str

    def report(self, outcome: Outcome) -> None:
        """Put an outcome on the bus. Reporting it twice changes nothing in perminute.

        Raises `NotReported`, and what boto3 raises.
        """
        answer = self.client.put_events(
            Entries=[
                {
                    "EventBusName": self.name,
                    "Source": SOURCE,
                    "DetailType": outcome.detail_type,
                    "Detail": json.dumps(outcome.detail),
                }
            ]
        )
        # EventBridge answers 200 for entries that it did not take.
        if answer["FailedEntryCount"]:
            (entry,) = answer["Entries"]
            msg = f"{entry.get('ErrorCode')}: {entry.get('ErrorMessage')}"
            raise NotReported(msg)
