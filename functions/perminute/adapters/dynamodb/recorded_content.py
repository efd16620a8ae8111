"""The content of ended calls on the usage table, which masks and erases it item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.call_items import (
    DIGEST,
    ERASED,
    OUTCOME,
    call_key,
    record_text,
    usage_item,
    usage_of,
)
from perminute.adapters.dynamodb.tables import readable
from perminute.adapters.dynamodb.writes import update_alone
from perminute.domain.values.times import format_instant
from perminute.ports.privacy import RecordedPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from perminute.adapters.dynamodb.tables import Tables
    from perminute.domain.rating.usage_record import Usage

CONTENT = ("organizerId", "record", DIGEST, ERASED)
"""The attributes that are rewritten; all others say what the call cost."""


class DynamoDBRecordedContent:
    """`RecordedContent` on the usage table."""

    def __init__(self, tables: Tables) -> None:
        self._usage = tables.usage

    def pages(
        self,
        organization_id: str,
        *,
        answered_before: datetime | None = None,
        masked: bool = False,
        after: str | None = None,
    ) -> Iterator[RecordedPage]:
        # Not consistent, which costs half as much: a record is compared when it is rewritten.
        conditions = [f"attribute_exists({OUTCOME})", f"attribute_not_exists({ERASED})"]
        values = {":organization": organization_id}
        if not masked:
            conditions.append(f"attribute_not_exists({DIGEST})")
        if answered_before is not None:
            conditions.append("(attribute_not_exists(answeredAt) OR answeredAt < :before)")
            values[":before"] = format_instant(answered_before)
        options: dict[str, Any] = {"FilterExpression": " AND ".join(conditions)}
        if after is not None:
            options["ExclusiveStartKey"] = call_key(organization_id, after)
        while True:
            page = self._usage.page("organizationId = :organization", values, **options)
            with readable(f"the usage of {organization_id}"):
                usages = list(map(usage_of, page.items))
            last = page.last_key
            ids = [usage.call.call_id for usage in usages]
            yield RecordedPage(usages, last["callId"]["S"] if last else ids[-1] if ids else "")
            if not last:
                return
            options["ExclusiveStartKey"] = last

    def replace(self, before: Usage, after: Usage) -> bool:
        item = usage_item(after)
        # By what is stored, and not by a version: a correction must not be overwritten, nor must
        # masking keep a busy account from charging calls.
        new = {name: item[name] for name in CONTENT if name in item}
        has_digest = f"attribute_not_exists({DIGEST})"
        values: dict[str, Any] = {f"new_{name}": value for name, value in new.items()}
        values |= {"read": record_text(before), "organizer": before.call.organizer_id}
        if before.content_digest is not None:
            has_digest = f"{DIGEST} = :digest"
            values["digest"] = before.content_digest
        operation = self._usage.update(
            item,
            {name: f":new_{name}" for name in new},
            f"#record = :read AND organizerId = :organizer AND {has_digest}"
            f" AND attribute_not_exists({ERASED})",
            **values,
        )
        return update_alone(self._usage.connection, operation)
