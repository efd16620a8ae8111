"""Which rows live in which table of the deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.rows import (
    AccountRow,
    CallListRow,
    ChargebackRow,
    CorrectionRow,
    CountedCallsRow,
    EntryRow,
    EventRow,
    LotRow,
    OutboxRow,
    PoolRow,
    ProcessedEventRow,
    ReratingRow,
    ReservationRow,
    SpendingRow,
    TimelineRow,
    UsageRow,
)
from perminute.adapters.dynamodb.tables import Table

if TYPE_CHECKING:
    from pynamodb.connection import Connection

    from perminute.settings import TableNames


@dataclass(frozen=True, slots=True)
class Schema:
    """Every kind of row, bound to its table, and the connection they share."""

    connection: Connection
    accounts: Table[AccountRow]
    entries: Table[EntryRow]
    lots: Table[LotRow]
    chargebacks: Table[ChargebackRow]
    outbox: Table[OutboxRow]
    counted_calls: Table[CountedCallsRow]
    processed_events: Table[ProcessedEventRow]
    pools: Table[PoolRow]
    call_lists: Table[CallListRow]
    reratings: Table[ReratingRow]
    spendings: Table[SpendingRow]
    corrections: Table[CorrectionRow]
    usages: Table[UsageRow]
    reservations: Table[ReservationRow]
    events: Table[EventRow]
    timelines: Table[TimelineRow]

    @classmethod
    def bind(cls, connection: Connection, names: TableNames) -> Schema:
        """Bind the rows to the names that the deployment gave its tables."""
        return cls(
            connection=connection,
            accounts=Table(connection, names.credit, AccountRow),
            entries=Table(connection, names.credit, EntryRow),
            lots=Table(connection, names.credit, LotRow),
            chargebacks=Table(connection, names.credit, ChargebackRow),
            outbox=Table(connection, names.credit, OutboxRow),
            counted_calls=Table(connection, names.credit, CountedCallsRow),
            processed_events=Table(connection, names.credit, ProcessedEventRow),
            pools=Table(connection, names.credit, PoolRow),
            call_lists=Table(connection, names.credit, CallListRow),
            reratings=Table(connection, names.credit, ReratingRow),
            spendings=Table(connection, names.credit, SpendingRow),
            corrections=Table(connection, names.credit, CorrectionRow),
            usages=Table(connection, names.usage, UsageRow),
            reservations=Table(connection, names.usage, ReservationRow),
            events=Table(connection, names.events, EventRow),
            timelines=Table(connection, names.licensing, TimelineRow),
        )
