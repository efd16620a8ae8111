"""The in-memory twins of calls: while they are authorized, and as they are recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.adapters.memory.records import Records, of
from perminute.domain.authorization.reservations import under_way_since
from perminute.domain.rating.usage_record import Outcome
from perminute.ports.stores import CallList, CallPlace, CallUnderWay, ListedCall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.transaction import Authorized, ReplacedUsage, Transaction
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage


class CallRecords(Records):
    """`CallsUnderWay` in dictionaries, and the usage of calls."""

    def read(self, organization_id: str, call_id: str) -> CallUnderWay:
        call = self._call(organization_id, call_id)
        return CallUnderWay(self._account(organization_id), call)

    def store(self, authorized: Authorized) -> bool:
        if not self._holds_against(authorized):
            return False
        self._authorize(authorized)
        return True

    def calls_by_start(
        self, organization_id: str, *, limit: int, after: CallPlace | None = None
    ) -> Iterator[CallPlace]:
        places = sorted(
            CallPlace(since, call_id)
            for call_id, reservation in of(organization_id, self.under_way).items()
            if (since := under_way_since(reservation)) is not None
        )
        return iter([place for place in places if after is None or place > after][:limit])

    def read_calls(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation | Usage]:
        known = ((call_id, self._call(organization_id, call_id)) for call_id in call_ids)
        return {call_id: call for call_id, call in known if call is not None}

    def reservations(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation]:
        known = of(organization_id, self.under_way)
        return {call_id: known[call_id] for call_id in call_ids if call_id in known}

    def reported_calls(self, organization_id: str, *, due_by: datetime) -> Iterator[str]:
        due = sorted(
            (reservation.charge_at, call_id)
            for call_id, reservation in of(organization_id, self.under_way).items()
            if reservation.charge_at and reservation.charge_at <= due_by
        )
        return iter([call_id for _, call_id in due])

    def usages_of(self, organization_id: str) -> list[Usage]:
        """Return everything that is recorded of an organization's calls."""
        return list(of(organization_id, self.usages).values())

    def replace_content(self, before: Usage, after: Usage) -> bool:
        """Replace the content of a call, unless it has changed, and keep what it cost."""
        key = before.call.organization_id, before.call.call_id
        known = self.usages[key]
        if known != before:
            return False
        self.usages[key] = known._replace(
            call=after.call, content_digest=after.content_digest, is_erased=after.is_erased
        )
        return True

    def _call(self, organization_id: str, call_id: str) -> Reservation | Usage | None:
        key = (organization_id, call_id)
        return self.usages.get(key) or self.under_way.get(key)

    def _content_has_changed(self, replaced: ReplacedUsage) -> bool:
        """Whether a call was masked or erased after it was read."""
        before = replaced.before
        known = self.usages.get((before.call.organization_id, before.call.call_id), before)
        was_masked = before.content_digest is not None
        return (known.content_digest is not None) > was_masked or known.is_erased > before.is_erased

    def _holds_against(self, authorized: Authorized) -> bool:
        call = authorized.after.call
        key = (call.organization_id, call.call_id)
        known = self.under_way.get(key)
        if authorized.before is None or known is None:
            return authorized.before is None and known is None and key not in self.usages
        return known.sequence == authorized.before.sequence

    def _authorize(self, authorized: Authorized) -> None:
        call = authorized.after.call
        self.under_way[call.organization_id, call.call_id] = authorized.after

    def _unsettled(self, transaction: Transaction) -> dict[str, Reservation]:
        """Find calls that hold something which the transaction does not give back as it stands."""
        settled = {
            reservation.call.call_id: reservation.sequence
            for reservation in transaction.settled
            if reservation.held
        }
        found: dict[str, Reservation] = {}
        for usage in transaction.usages:
            call = usage.call
            reservation = self.under_way.get((call.organization_id, call.call_id))
            if reservation is None:
                continue
            known = settled.get(call.call_id)
            if known != reservation.sequence if known is not None else reservation.held:
                found[call.call_id] = reservation
        return found


@dataclass
class InMemoryCalls:
    """`Calls` over the same records: here each call has a list of its own."""

    store: CallRecords

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        listed = (
            _listed(usage.call)
            for usage in self.store.usages_of(organization_id)
            if usage.outcome is not Outcome.FREE and usage.call.ended_at >= since
        )
        return iter(
            sorted(call_list for call_list in listed if after is None or call_list.key > after)
        )

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        lists = self.lists(organization_id, since=since)
        return (call_list for call_list in lists if any(call.dial_out for call in call_list.calls))

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        usages = self.store.usages_of(organization_id)
        return [usage for usage in usages if usage.call.call_id in call_ids]

    def usages_by_id(self, organization_id: str, call_ids: Collection[str]) -> Mapping[str, Usage]:
        return {usage.call.call_id: usage for usage in self.usages(organization_id, call_ids)}


def _listed(call: Call) -> CallList:
    key = f"{call.ended_at.isoformat(timespec='microseconds')}#{call.call_id}"
    return CallList(key, (ListedCall.of(call),))
