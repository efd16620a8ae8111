"""Graph's calls, a directory that may be corrected, and the charging of what is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

from builders import WITHOUT_WAITING, card

from perminute.adapters.memory import (
    InMemoryCalls,
    InMemoryRecordsBucket,
    InMemoryStore,
    PublishedRateCards,
)
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.pull_graph_calls import PullGraphCalls, TenantPull
from perminute.domain.errors import Refused
from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute.formats.directory_csv import read_directory
from perminute.ports.graph import GraphPage
from perminute.sources.convert import convert
from perminute.sources.graph_pstn import GRAPH_PSTN
from perminute.sources.outcomes import Leg
from perminute.sources.stated_call import InputFile, SourceOptions
from perminute.sqs import Received
from perminute_local.records.call_records import event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from perminute.application.results import Result
    from perminute.domain.errors import Unavailable
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reference.directory import Directory
    from perminute.ports.graph import Graph
    from perminute.ports.records_bucket import State

TENANT = "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10"
AT = datetime(2026, 11, 5, 3, 10, tzinfo=UTC)
TENANT_ROW = f"tenant,{TENANT},contoso,,"
NUMBER_ROW = "number,+12065550100,,tollDialIn,"


def directory(*rows: str) -> Directory:
    header = "kind,key,organization_id,leg_type,effective_to"
    return read_directory("\n".join([header, *rows]).encode())


def row(call_id: str, **changed: Any) -> dict[str, Any]:
    """A dial-in of five minutes, two days before."""
    return {
        "id": call_id,
        "callType": "conf_in",
        "userId": "5e0b7a34-93c1-4e6c-8b11-4d0b8a6e2f01",
        "callerNumber": "+49309018****",
        "calleeNumber": "+12065550100",
        "startDateTime": "2026-11-03T08:00:00.1234567Z",
        "endDateTime": "2026-11-03T08:05:00.1234567Z",
        "duration": 300,
        "charge": 0.12,
        **changed,
    }


@dataclass
class Rows:
    """`Graph` with the rows of one tenant, in pages of two."""

    rows: list[Any] = field(default_factory=list)
    # Raised after so many pages.
    failure: Unavailable | None = None
    fails_after: int = 0
    places: list[str] = field(default_factory=list)
    read: int = 0

    def pages(
        self, place: str, *, until: float = 0, headers: Mapping[str, str] | None = None
    ) -> Iterator[GraphPage]:
        del until, headers
        self.places.append(place)
        begin, end = place.partition("fromDateTime=")[2].rstrip(")").split(",toDateTime=")
        rows = [row for row in self.rows if begin <= _start(row) <= end]
        for first in range(0, len(rows), 2) or [0]:
            if self.failure and self.read == self.fails_after:
                raise self.failure
            self.read += 1
            yield GraphPage(tuple(json.dumps(row).encode() for row in rows[first : first + 2]))


def _start(row: Any) -> str:
    return str(row.get("startDateTime", "")) if isinstance(row, dict) else ""


@dataclass
class Published:
    """`Directories` with the one in force."""

    directory: Directory

    def current(self) -> Directory:
        return self.directory


@dataclass
class Tenants:
    """`GraphTenants` of a test."""

    graphs: Mapping[str, Graph]

    def current(self) -> Mapping[str, Graph]:
        return self.graphs


class Kept(InMemoryRecordsBucket):
    """Counts what is written, and does what a test wants before a state is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.before_state: Callable[[], object] = bool

    def keep(self, name: str, content: bytes) -> bool:
        is_new = super().keep(name, content)
        self.writes += is_new
        return is_new

    def store_state(self, name: str, content: bytes, **read: Any) -> State:
        self.before_state()
        self.writes += 1
        return super().store_state(name, content, **read)


class World:
    """One tenant, unless a test adds others."""

    def __init__(self, *rows: Any) -> None:
        self.graph = Rows(list(rows))
        self.store = InMemoryStore()
        self.bucket = Kept()
        self.directories = Published(directory(TENANT_ROW, NUMBER_ROW))
        self.tenants = Tenants({TENANT: self.graph})
        self.at = AT
        self._charged_files = set[str]()
        self._charge = ChargeCalls(
            self.store,
            InMemoryCalls(self.store),
            LicensingCache(self.store),
            PublishedRateCards(card()),
            WITHOUT_WAITING,
        )

    def correct(self, *rows: str) -> None:
        self.directories.directory = directory(*rows)

    def pull(self) -> TenantPull:
        (done,) = self.pull_all()
        return done

    def pull_all(self) -> list[TenantPull]:
        return self.use_case(self.at)

    @property
    def use_case(self) -> PullGraphCalls:
        calls = InMemoryCalls(self.store)
        return PullGraphCalls(self.tenants, self.directories, calls, self.bucket, WITHOUT_WAITING)

    def next_day(self) -> None:
        self.at += timedelta(days=1)

    def kept(self) -> list[dict[str, Any]]:
        return [
            row for content in self.bucket.files.values() for row in json.loads(content)["value"]
        ]

    def charge(self) -> list[str]:
        """Read the files that were kept since, as if they had been dropped; return what was told:
        the problems, and what charging refused."""
        told = []
        for name, content in self.bucket.files.items():
            if name in self._charged_files:
                continue
            self._charged_files.add(name)
            options = SourceOptions(tenant=TENANT)
            file = InputFile(name, BytesIO(content))
            for outcome in convert(GRAPH_PSTN, [file], self.directories.directory, options):
                if isinstance(outcome.result, Leg):
                    result = self._charge_leg(outcome.result)
                    if isinstance(result, Refused):
                        told.append(result.message.partition(":")[0])
                else:
                    told.append(outcome.result.reason.value)
        return told

    def _charge_leg(self, leg: Leg) -> Result[Usage]:
        event = json.dumps(event_of(leg, "graph-pstn"))
        try:
            ended = ended_call(read_event(event, TELEPHONY, Received(self.at, self.at)))
        except Refused as refused:
            return refused
        (result,) = self._charge([ended])
        return result

    @property
    def charged(self) -> list[str]:
        return sorted(f"{who} {call_id}" for who, call_id in self.store.usages)
