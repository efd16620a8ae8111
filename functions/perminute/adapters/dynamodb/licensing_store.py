"""Licensing timelines on DynamoDB: facts are appended without being read.

They are appended to a subject's first item. When that is full it is rolled over: its facts move
into further items, which the first item counts. A timeline of ordinary length has none, and costs
the same to append to and to read as if there were no such thing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import (
    ACCOUNT,
    NEVER_DUE,
    credit_key,
    event_of,
    insert_event,
)
from perminute.adapters.dynamodb.codec import sortable
from perminute.adapters.dynamodb.tables import readable
from perminute.adapters.dynamodb.timelines import (
    COPY,
    FOLDED_UNTIL,
    MAX_FIRST_BYTES,
    ORGANIZATION,
    USERS,
    fact_bytes,
    fact_text,
    read_timelines,
    roll_over,
    subject_key,
    subject_of,
    timeline_of,
)
from perminute.adapters.dynamodb.writes import WriteRequest
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
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import ProcessedEvent
    from perminute.domain.licensing.licensing import LicensingChange
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rerating.rerating import Rerating

_HAS_ROOM = (
    "(attribute_not_exists(facts) OR size(facts) = :none"
    " OR (size(facts) <= :before AND factBytes <= :bytesBefore))"
    " AND (attribute_not_exists(foldedUntil) OR foldedUntil <= :earliest)"
)
"""A first item without facts takes any number: what is stated at once is never divided."""


class DynamoDBLicensingStore:
    """`LicensingStore` on the licensing, events and credit tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        subjects = {subject_of(user_id): user_id for user_id in (None, *user_ids)}
        keys = [subject_key(organization_id, subject) for subject in subjects]
        table = self._tables.licensing
        timelines = read_timelines(table, list(map(timeline_of, table.get_snapshot(keys))))
        organization = timelines.pop(ORGANIZATION, Timeline())
        users = {
            user_id: timelines[subject]
            for subject, user_id in subjects.items()
            if user_id is not None and subject in timelines
        }
        return Licensing(organization, users)

    def users(self, account: Account) -> Mapping[str, Timeline]:
        """Read the timelines of all users.

        They are read by a query, which may see a part of a request. But facts are only
        added, or left out when the account is counted up as well, and the account counts those
        about users: if as many are found, none is missing; and if one has come that was not
        counted, the account has changed meanwhile.
        """
        organization_id, table = account.organization_id, self._tables.licensing
        # Until the erasure of a user is complete, both the timeline and its copy exist.
        only = {"FilterExpression": f"attribute_not_exists({COPY})"}
        items = table.items_of(organization_id, USERS, **only)
        with readable(f"the licenses of {organization_id}"):
            timelines = read_timelines(table, list(map(timeline_of, items)))
        found = sum(len(user.facts) for user in timelines.values())
        if found != account.user_facts:
            msg = (
                f"of {account.user_facts} facts about users of {organization_id} {found} were "
                "found: they are just being changed, or facts about users are missing"
            )
            raise Contended(msg)
        return {subject.removeprefix(USERS): user for subject, user in timelines.items()}

    def seats(self, account: Account) -> Seats:
        """Count the subscription licenses of all users."""
        return Seats(self.users(account).values())

    def record(
        self,
        organization_id: str,
        changes: Sequence[tuple[LicensingChange, ProcessedEvent]],
        rerating: Rerating | None = None,
    ) -> None:
        """Add facts: nothing is read, so nothing read can be out of date."""
        facts: defaultdict[str | None, list[Fact]] = defaultdict(list)
        for change, _ in changes:
            if change.facts:
                facts[change.user_id] += change.facts
        by_event_id = [event for _, event in changes if event.key.kind is IdentityKind.EVENT]
        by_change_id = [event for _, event in changes if event.key.kind is not IdentityKind.EVENT]
        request = WriteRequest(self._tables.connection)
        request.puts += [insert_event(self._tables, event) for event in by_event_id]
        # These are beside accounts, where the function's role lets it put nothing.
        request.updates += [
            insert_event(self._tables, event, by_update=True) for event in by_change_id
        ]
        if rerating is not None:
            request.updates.append(self._insert_rerating(rerating))
        first = len(request.puts) + len(request.updates)
        request.updates += [self._append(organization_id, *stated) for stated in facts.items()]
        of_users = sum(len(stated) for user_id, stated in facts.items() if user_id is not None)
        request.updates.append(self.next_version(organization_id, of_users))
        try:
            failed = request.write()
        except Contended as error:
            raise AccountChanged(str(error)) from error
        if failed:
            raise _why_refused([*by_event_id, *by_change_id], facts, failed, first=first)

    def roll_over(
        self, organization_id: str, user_id: str | None, *, fold_before: datetime
    ) -> None:
        table, subject = self._tables.licensing, subject_of(user_id)
        item = table.get(subject_key(organization_id, subject))
        first = item and timeline_of(item)
        if not first or not first.facts:
            return
        request = WriteRequest(self._tables.connection)
        left_out = roll_over(request, table, first, fold_before)
        if left_out:
            gone = 0 if user_id is None else -left_out
            request.updates.append(self.next_version(organization_id, gone))
        try:
            is_unchanged = request.succeeds()
        except Contended as error:
            raise AccountChanged(str(error)) from error
        if not is_unchanged:
            msg = f"the timeline {subject} has changed"
            raise AccountChanged(msg)

    def _insert_rerating(self, rerating: Rerating) -> Operation:
        # Imported where it is needed: who reads licenses rates no calls again.
        from perminute.adapters.dynamodb.reratings import rerating_item  # noqa: PLC0415

        credit = self._tables.credit
        return credit.set(rerating_item(rerating), credit.is_new)

    def _append(
        self, organization_id: str, user_id: str | None, facts: Sequence[Fact]
    ) -> Operation:
        texts = [fact_text(fact) for fact in facts]
        more = fact_bytes(texts)
        return self._tables.licensing.update(
            subject_key(organization_id, subject_of(user_id)),
            {
                "facts": "list_append(if_not_exists(facts, :nothing), :facts)",
                "factBytes": "if_not_exists(factBytes, :none) + :bytes",
            },
            _HAS_ROOM,
            nothing={"L": []},
            facts={"L": [{"S": text} for text in texts]},
            none=0,
            bytes=more,
            before=MAX_FACTS - len(texts),
            bytesBefore=MAX_FIRST_BYTES - more,
            earliest=_earliest(facts),
        )

    def next_version(self, organization_id: str, of_users: int) -> Operation:
        """Count up the versions of the account; the processed events make it happen once.

        An account that begins with it is listed, for the nightly run finds organizations by that.
        """
        return self._tables.credit.update(
            credit_key(organization_id, ACCOUNT),
            {
                "version": "if_not_exists(#version, :none) + :one",
                "licensingVersion": "if_not_exists(licensingVersion, :none) + :one",
                "userFacts": "if_not_exists(userFacts, :none) + :facts",
                "listedAs": "if_not_exists(listedAs, :account)",
                "dueAt": "if_not_exists(dueAt, :never)",
            },
            none=0,
            one=1,
            facts=of_users,
            account=ACCOUNT,
            never=NEVER_DUE,
        )


def _why_refused(
    events: Sequence[ProcessedEvent],
    facts: Mapping[str | None, Sequence[Fact]],
    items: Mapping[int, Item],
    *,
    first: int,
) -> AlreadyExists | FactsFolded | TimelineFull:
    """Read which conditions failed: processed events stand first, and from `first` timelines."""
    known = {
        event.key: event_of(event.key, items[position])
        for position, event in enumerate(events)
        if position in items
    }
    if known:
        return AlreadyExists(processed_events=known)
    failed = {user_id: items[n] for n, user_id in enumerate(facts, first) if n in items}
    folded = {
        user_id: parse_instant(item[FOLDED_UNTIL]["S"])
        for user_id, item in failed.items()
        if FOLDED_UNTIL in item and item[FOLDED_UNTIL]["S"] > _earliest(facts[user_id])
    }
    return FactsFolded(folded) if folded else TimelineFull(frozenset(failed))


def _earliest(facts: Sequence[Fact]) -> str:
    # Text sorts as time does, so DynamoDB compares it with what is stored.
    return sortable(min(fact.effective_at for fact in facts))
