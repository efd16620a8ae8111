"""Licensing timelines on DynamoDB: facts are appended without being read.

They are appended to a subject's first item. When that is full it is rolled over: its facts move
into further items, which the first item counts. A timeline of ordinary length has none, and costs
the same to append to and to read as if there were no such thing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, assert_never

from pynamodb.expressions.condition import size

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.further_facts import (
    MAX_FIRST_BYTES,
    fact_bytes,
    plan_roll_over,
    read_timelines,
)
from perminute.adapters.dynamodb.processed_events import (
    insert_change_by_update,
    insert_processed_event,
    processed_event_of,
)
from perminute.adapters.dynamodb.rows import AccountRow, TimelineRow
from perminute.adapters.dynamodb.tables import Collided, Failed, WriteRequest, Written, readable
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    FactsFolded,
    IdentityKind,
    TimelineFull,
)
from perminute.domain.errors import Contended
from perminute.domain.licensing.licensing import Licensing, Seats
from perminute.domain.licensing.timelines import MAX_FACTS, Timeline

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.rows import Item
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.adapters.dynamodb.tables import Operation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import ProcessedEvent
    from perminute.domain.licensing.licensing import LicensingChange
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rerating.rerating import Rerating


_FACTS = "facts"


class DynamoDBLicensingStore:
    """`LicensingStore` on the licensing, events and credit tables."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        """See `LicensingStore.licensing`."""
        subjects = {records.subject_of(user_id): user_id for user_id in (None, *user_ids)}
        keys = [(organization_id, subject) for subject in subjects]
        table = self._schema.timelines
        timelines = read_timelines(table, table.get_snapshot(keys))
        organization = timelines.pop(records.ORGANIZATION, Timeline())
        users = {
            user_id: timelines[subject]
            for subject, user_id in subjects.items()
            if user_id is not None and subject in timelines
        }
        return Licensing(organization, users)

    def seats(self, account: Account) -> Seats:
        """See `LicensingStore.seats`.

        The users are read by a query, which may see a part of a request. But facts are only
        added, or left out when the account is counted up as well, and the account counts those
        about users: if as many are found, none is missing; and if one has come that was not
        counted, the account has moved meanwhile.
        """
        organization_id = account.organization_id
        items = self._schema.timelines.query(
            "organizationId = :organization AND begins_with(subject, :users)",
            {":organization": organization_id, ":users": records.USERS},
            ConsistentRead=True,
        )
        with readable(f"the licenses of {organization_id}"):
            rows = [TimelineRow.from_raw_data(item) for item in items]
            users = list(read_timelines(self._schema.timelines, rows).values())
        found = sum(len(user.facts) for user in users)
        if found != account.user_facts:
            msg = (
                f"of {account.user_facts} facts about users of {organization_id} {found} were "
                "found: they are just being changed, or facts about users are missing"
            )
            raise Contended(msg)
        return Seats(users)

    def record(
        self,
        organization_id: str,
        changes: Sequence[tuple[LicensingChange, ProcessedEvent]],
        rerating: Rerating | None = None,
    ) -> None:
        """See `LicensingStore.record`: nothing is read, so nothing read can be out of date."""
        facts: defaultdict[str | None, list[Fact]] = defaultdict(list)
        for change, _ in changes:
            if change.facts:
                facts[change.user_id] += change.facts
        of_users = sum(len(stated) for user_id, stated in facts.items() if user_id is not None)
        by_event_id = [one for _, one in changes if one.key.kind is IdentityKind.EVENT]
        by_change_id = [one for _, one in changes if one.key.kind is not IdentityKind.EVENT]
        request = WriteRequest(self._schema.connection)
        request.puts += [insert_processed_event(self._schema, one) for one in by_event_id]
        # These lie beside accounts, where the function's role lets it put nothing.
        beside = [insert_change_by_update(self._schema, one) for one in by_change_id]
        if rerating is not None:
            row = records.rerating_row(rerating).serialize()
            beside.append(self._schema.reratings.insert_by_update(row))
        request.updates += [
            *beside,
            *(self._append(organization_id, user_id, stated) for user_id, stated in facts.items()),
            self._next_version(organization_id, of_users),
        ]
        match request.write():
            case Written():
                return
            case Collided(why):
                raise AccountChanged(why)
            case Failed(items):
                first = len(by_event_id) + len(beside)
                raise _why_refused([*by_event_id, *by_change_id], facts, items, first=first)
            case never:
                assert_never(never)

    def roll_over(
        self, organization_id: str, user_id: str | None, *, fold_before: datetime
    ) -> None:
        """See `LicensingStore.roll_over`."""
        table, subject = self._schema.timelines, records.subject_of(user_id)
        first = table.get(organization_id, subject)
        if first is None or not first.facts:
            return
        plan = plan_roll_over(table, first, fold_before)
        request = WriteRequest(self._schema.connection)
        plan.write_to(request, table)
        if plan.left_out:
            gone = 0 if user_id is None else -plan.left_out
            request.updates.append(self._next_version(organization_id, gone))
        match request.write():
            case Written():
                return
            case Collided(why):
                raise AccountChanged(why)
            case Failed():
                msg = f"the timeline {subject} has changed"
                raise AccountChanged(msg)
            case never:
                assert_never(never)

    def _append(
        self, organization_id: str, user_id: str | None, facts: Sequence[Fact]
    ) -> Operation:
        """Append facts; if there is no room for them, the item that stands is handed back.

        An item without facts takes any number: what is stated at once is never divided.
        """
        row = TimelineRow(
            organization_id=organization_id, subject=records.subject_of(user_id), facts=[]
        )
        texts = [records.fact_text(fact) for fact in facts]
        more = fact_bytes(texts)
        actions = [
            TimelineRow.facts.set((TimelineRow.facts | []).append(texts)),
            TimelineRow.fact_bytes.set((TimelineRow.fact_bytes | 0) + more),
        ]
        has_none = TimelineRow.facts.does_not_exist() | (size(_FACTS) == 0)  # type: ignore[no-untyped-call]
        has_room = (size(_FACTS) <= MAX_FACTS - len(texts)) & (  # type: ignore[no-untyped-call]
            TimelineRow.fact_bytes <= MAX_FIRST_BYTES - more
        )
        until = TimelineRow.folded_until
        is_open = until.does_not_exist() | (until <= _earliest(facts))
        return self._schema.timelines.update_if(row, actions, (has_none | has_room) & is_open)

    def _next_version(self, organization_id: str, of_users: int) -> Operation:
        """Count up the versions of the account; the processed events make it happen once.

        An account that begins with it is listed, for the nightly run finds organizations by that.
        """
        row = AccountRow(organization_id=organization_id, record=records.ACCOUNT)
        counts = (
            (AccountRow.version, 1),
            (AccountRow.licensing_version, 1),
            (AccountRow.user_facts, of_users),
        )
        actions = [
            *(count.set((count | 0) + more) for count, more in counts),
            AccountRow.listed_as.set(AccountRow.listed_as | records.ACCOUNT),
            AccountRow.due_at.set(AccountRow.due_at | records.NEVER_DUE),
        ]
        return self._schema.accounts.update(row, actions)


def _why_refused(
    processed_events: Sequence[ProcessedEvent],
    facts: Mapping[str | None, Sequence[Fact]],
    items: dict[int, Item],
    *,
    first: int,
) -> AlreadyExists | FactsFolded | TimelineFull:
    """Read which conditions failed: processed events stand first, timelines last."""
    known = {
        processed_event.key: processed_event_of(processed_event.key, items[position])
        for position, processed_event in enumerate(processed_events)
        if position in items
    }
    if known:
        return AlreadyExists(processed_events=known)
    failed = {user_id: items[n] for n, user_id in enumerate(facts, first) if n in items}
    folded = {
        user_id: records.folded_until(item["foldedUntil"]["S"])
        for user_id, item in failed.items()
        if "foldedUntil" in item and item["foldedUntil"]["S"] > _earliest(facts[user_id])
    }
    return FactsFolded(folded) if folded else TimelineFull(frozenset(failed))


def _earliest(facts: Sequence[Fact]) -> str:
    return records.folded_text(min(fact.effective_at for fact in facts))
