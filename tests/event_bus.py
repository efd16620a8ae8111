"""A bus that answers as a test says, and remembers what it was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Bus:
    """Answers each request with the next of these, or takes all of it."""

    answers: list[list[str | None] | Exception] = field(default_factory=list)
    requests: list[list[dict[str, Any]]] = field(default_factory=list)

    def put_events(self, *, Entries: list[Any]) -> Any:  # noqa: N803 - as boto3 has it
        self.requests.append(Entries)
        answer = self.answers.pop(0) if self.answers else [None] * len(Entries)
        if isinstance(answer, Exception):
            raise answer
        return {
            "FailedEntryCount": sum(code is not None for code in answer),
            "Entries": [
                {"ErrorCode": code, "ErrorMessage": "no"} if code else {"EventId": entry["Detail"]}
                for code, entry in zip(answer, Entries, strict=True)
            ],
        }

    @property
    def sizes(self) -> list[int]:
        return [len(entries) for entries in self.requests]
