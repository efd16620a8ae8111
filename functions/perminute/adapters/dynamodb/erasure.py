"""Erases what names users beside the records of their calls: finds it, and rewrites each item.

None of these items decides about money, so each is written alone. An erasure that was interrupted
is begun again, and finds what is left.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import CALLS
from perminute.adapters.dynamodb.call_items import OUTCOME
from perminute.adapters.dynamodb.counter_items import (
    SPENDING,
    correction_item,
    correction_of,
    spending_of,
)
from perminute.adapters.dynamodb.digests import COUNTED
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.list_items import REVISED, organizers_in, with_organizers
from perminute.adapters.dynamodb.outbox_items import CALLS_TO_COUNT, documents_in
from perminute.adapters.dynamodb.reratings import rerating_of
from perminute.adapters.dynamodb.tables import readable
from perminute.adapters.dynamodb.timelines import (
    FURTHER,
    ORGANIZATION,
    USERS,
    copy_timeline,
    fact_bytes,
    fact_of,
    further_subject,
    move_timeline,
    subject_key,
    subject_of,
    timeline_item,
    timeline_of,
)
from perminute.adapters.dynamodb.writes import (
    WriteRequest,
    delete_alone,
    put_alone,
    update_alone,
)
from perminute.domain.credit.ledger import RERATING
from perminute.domain.credit.transaction import ERASED_CONTENT, AccountChanged
from perminute.domain.errors import Contended
from perminute.domain.licensing.attributes import NAME
from perminute.domain.limits.spending import SpendKind
from perminute.domain.rating.erased_calls import names_any
from perminute.domain.values.times import parse_instant
from perminute.ports.privacy import OtherRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.adapters.dynamodb.timelines import TimelineItem

_CORRECTED, _OUTBOX, _CHANGE = "corrected#", "outbox#", "change#"


class DynamoDBErasure:
    """`Erasure` on the credit, licensing and events tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def users(self, organization_id: str) -> set[str]:
        subjects = self._tables.licensing.items_of(organization_id, USERS)
        found = {item["subject"]["S"].removeprefix(USERS) for item in subjects}
        for prefix in (CALLS, REVISED):
            for item in self._tables.credit.items_of(organization_id, prefix):
                found.update(organizers_in(item))
        return found

    # ── Timelines ────────────────────────────────────────────────────────────────────────────

    def has_timeline(self, organization_id: str, user_id: str | None) -> bool:
        return self._first(organization_id, user_id) is not None

    def is_taken(self, organization_id: str, pseudonym: str) -> bool:
        first = self._first(organization_id, pseudonym)
        return first is not None and not first.is_copy

    def copy_timeline(self, organization_id: str, user_id: str, pseudonym: str) -> None:
        first = self._first(organization_id, user_id)
        if first is not None:
            table = self._tables.licensing
            for operation in copy_timeline(table, first, subject_of(pseudonym)):
                put_alone(self._tables.connection, operation)

    def move_timeline(self, organization_id: str, user_id: str, pseudonym: str) -> bool:
        first = self._first(organization_id, user_id)
        if first is not None and not self._move(first, self._first(organization_id, pseudonym)):
            return False
        # Further items of a timeline that was moved, by this run or by one that was interrupted.
        further = self._tables.licensing.items_of(
            organization_id, f"{FURTHER}{subject_of(user_id)}#"
        )
        names = {further_subject(subject_of(user_id), n): n for n in range(1, 10_000)}
        for item in further:
            if item["subject"]["S"] in names:
                delete_alone(self._tables.connection, self._tables.licensing.delete(item))
        return True

    def _move(self, first: TimelineItem, copied: TimelineItem | None) -> bool:
        if copied is None or (copied.facts, copied.rolled) != (first.facts, first.rolled):
            return False
        request = WriteRequest(self._tables.connection)
        move_timeline(request, self._tables.licensing, first, copied)
        # A writer that has read these licenses finds that the version changed, and decides again.
        store = DynamoDBLicensingStore(self._tables)
        request.updates.append(store.next_version(first.organization_id, 0))
        try:
            return request.succeeds()
        except Contended as error:
            raise AccountChanged(str(error)) from error

    def _first(self, organization_id: str, user_id: str | None) -> TimelineItem | None:
        item = self._tables.licensing.get(subject_key(organization_id, subject_of(user_id)))
        return None if item is None else timeline_of(item)

    def forget_name(self, organization_id: str) -> None:
        first = self._first(organization_id, None)
        if first is None:
            return
        table = self._tables.licensing
        subjects = [ORGANIZATION, *(further_subject(ORGANIZATION, n) for n in first.further)]
        for item in filter(None, (table.get(subject_key(organization_id, s)) for s in subjects)):
            facts = timeline_of(item).facts
            kept = tuple(text for text in facts if fact_of(text).attribute != NAME)
            if kept == facts:
                continue
            after = timeline_of(item)._replace(facts=kept)
            if after.subject == ORGANIZATION:
                after = after._replace(fact_bytes=fact_bytes(kept))
            operation = table.put(timeline_item(after), "size(facts) = :facts", facts=len(facts))
            if not put_alone(self._tables.connection, operation):
                msg = f"the timeline of {organization_id} has changed"
                raise AccountChanged(msg)

    # ── Lists, counters, notifications and events ────────────────────────────────────────────

    def erase_others(
        self,
        organization_id: str,
        names: Mapping[str, str],
        *,
        before: datetime,
        everything: bool,
        write: bool,
    ) -> OtherRecords:
        eraser = _Eraser(self._tables, names, before, everything=everything, write=write)
        for item in self._tables.credit.items_of(organization_id):
            with readable(f"{item['record']['S']} of {organization_id}"):
                eraser.erase(item)
        for item in self._tables.usage.items_of(
            organization_id, FilterExpression=f"attribute_not_exists({OUTCOME})"
        ):
            eraser.forget_reservation(item)
        events = self._tables.events
        for item in events.scan(
            FilterExpression="organizationId = :organization",
            ExpressionAttributeValues={":organization": {"S": organization_id}},
        ):
            eraser.empty(events.update, item)
        return OtherRecords(**eraser.found)


class _Eraser:
    # Looks at one item after the other.

    def __init__(
        self,
        tables: Tables,
        names: Mapping[str, str],
        before: datetime,
        *,
        everything: bool,
        write: bool,
    ) -> None:
        self._tables, self._names, self._before = tables, names, before
        self._everything, self._write = everything, write
        self.found = Counter[str]()

    def erase(self, item: Item) -> None:
        record = item["record"]["S"]
        kinds: dict[str, Callable[[Item], None]] = {
            CALLS: self._rename_calls,
            REVISED: self._rename_calls,
            _CORRECTED: self._rename_changes,
            SPENDING: self._delete_counter,
            CALLS_TO_COUNT: self._count_recent,
            COUNTED: self._count_recent,
            RERATING: self._count_rerating,
            _OUTBOX: self._delete_notifications,
            _CHANGE: lambda changed: self.empty(self._tables.credit.update, changed),
        }
        for prefix, erase in kinds.items():
            if record.startswith(prefix):
                erase(item)
                return

    def _rename_calls(self, item: Item) -> None:
        if not self._names.keys().isdisjoint(organizers_in(item)):
            self._put("lists", with_organizers(item, self._names))

    def _rename_changes(self, item: Item) -> None:
        number, changes = correction_of(item)
        renamed = [
            change._replace(key=change.key._replace(subject=self._names[change.key.subject]))
            if change.key.kind is SpendKind.USER and change.key.subject in self._names
            else change
            for change in changes
        ]
        if renamed != list(changes):
            self._put("counters", correction_item(item["organizationId"]["S"], number, renamed))

    def _delete_counter(self, item: Item) -> None:
        key = spending_of(item).key
        if key.kind is SpendKind.USER and key.subject in self._names:
            self._delete("counters", item)

    def _count_recent(self, item: Item) -> None:
        texts = (value["S"] for name, value in item.items() if "S" in value and name != "record")
        if any(self._is_named(_decoded(text)) for text in texts):
            self.found["recent"] += 1

    def _count_rerating(self, item: Item) -> None:
        named = rerating_of(item).since.keys()
        self.found["recent"] += self._everything or not self._names.keys().isdisjoint(named)

    def _delete_notifications(self, item: Item) -> None:
        documents = documents_in(item)
        if not self._is_named(documents):
            return
        # What was not published yet is published from the stream, which has no more than a day.
        if max(parse_instant(str(document["at"])) for document in documents) >= self._before:
            self.found["recent"] += 1
        else:
            self._delete("notifications", item)

    def forget_reservation(self, item: Item) -> None:
        """Delete a call that was authorized, if nothing of it will be charged."""
        if not self._is_named(_decoded(item["reservation"]["S"])):
            return
        if "held" in item or "chargeAt" in item:
            self.found["recent"] += 1
            return
        self.found["not_ended"] += 1
        if self._write:
            unused = " AND ".join(
                f"attribute_not_exists({name})" for name in (OUTCOME, "held", "chargeAt")
            )
            operation = self._tables.usage.delete(item, unused)
            delete_alone(self._tables.connection, operation)

    def empty(self, update: Callable[..., Operation], item: Item) -> None:
        """Remove the content of an event, and keep the record that it was processed."""
        content = item["content"]["S"]
        if content == ERASED_CONTENT or not self._is_named(_decoded(content)):
            return
        self.found["events"] += 1
        if self._write:
            operation = update(
                item, {"content": ":erased"}, "content = :read", erased=ERASED_CONTENT, read=content
            )
            update_alone(self._tables.connection, operation)

    def _is_named(self, value: object) -> bool:
        return self._everything or names_any(value, self._names.keys())

    def _put(self, kind: str, item: Item) -> None:
        self.found[kind] += 1
        if self._write:
            put_alone(self._tables.connection, self._tables.credit.put(item))

    def _delete(self, kind: str, item: Item) -> None:
        self.found[kind] += 1
        if self._write:
            delete_alone(self._tables.connection, self._tables.credit.delete(item))


def _decoded(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
