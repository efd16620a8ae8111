"""The users of a tenant as Microsoft Graph's delta query reports them, and what is done with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from perminute.adapters.memory import InMemoryRecordsBucket
from perminute.application.pull_graph_licenses import PullGraphLicenses
from perminute.application.retry import NEVER, Deadline
from perminute.domain.errors import Unavailable
from perminute.domain.reference.licenses import SERVICE_PLANS
from perminute.formats.directory_csv import read_directory
from perminute.formats.graph_users import DELTA_PLACE, read_delta_user
from perminute.formats.licensing_events import licensing_event_of
from perminute.ports.graph import GraphLinkExpired, GraphPage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from perminute.application.pull_graph_licenses import TenantLicenses
    from perminute.domain.licensing.graph_users import DatedChange
    from perminute.domain.reference.directory import Directory
    from perminute.ports.graph import Graph
    from perminute.ports.records_bucket import State

TENANT = "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10"
SKUS = {
    "SPE_E5": "06ebc4ee-1bb5-47dd-8120-11324bc54e06",
    "MCOMEETADV": "0c266dff-15dd-4b49-8397-2bb16070ed52",
    "MCOMEETACPEA": "df9561a4-4969-4e6a-8e73-c601b68ec077",
    "MCOPSTNC": "47794cd0-f0e5-45c5-9033-2eb6b5fc84e0",
    "SPE_E3": "05e9a617-0261-4cee-bb44-138d3ef5d965",
}
BEGIN = datetime(2026, 11, 2, 6, tzinfo=UTC)
# An address of Graph, as its links are.
HOST = "https://graph.microsoft.com"


def graph_user(user_id: str, *products: str, country: str | None = "DE", **more: Any) -> Any:
    """A user as a delta query has one."""
    return {
        "id": user_id,
        "usageLocation": country,
        "accountEnabled": True,
        "assignedLicenses": [{"skuId": SKUS[name], "disabledPlans": []} for name in products],
        "assignedPlans": [
            {"servicePlanId": SERVICE_PLANS[name], "capabilityStatus": "Enabled"}
            for name in products
            if name in SERVICE_PLANS
        ],
        **more,
    }


def tenant_row(organization_id: str = "contoso") -> Directory:
    """A directory that says whose the tenant is."""
    return read_directory(f"kind,key,organization_id\ntenant,{TENANT},{organization_id}".encode())


@dataclass
class DeltaGraph:
    """`Graph` of a tenant whose users change; links go on where they were given."""

    users: dict[str, Any] = field(default_factory=dict)
    page_size: int = 2
    # Users whose items a page repeats, as Graph may.
    repeated: bool = False
    # Raised in place of a page, and what happens before one is answered.
    failures: list[Unavailable | None] = field(default_factory=list)
    before_page: Callable[[], object] = bool
    asked: list[str] = field(default_factory=list)
    _log: list[str] = field(default_factory=list)
    _valid_from: int = 0
    _rounds: dict[str, list[Any]] = field(default_factory=dict)

    def put(self, *users: Any) -> None:
        for user in users:
            self.users[user["id"]] = user
            self._log.append(user["id"])

    def remove(self, *user_ids: str) -> None:
        for user_id in user_ids:
            del self.users[user_id]
            self._log.append(user_id)

    def forget_links(self) -> None:
        """Answer 410 to every link that was given until now."""
        self._log.append("")
        self._valid_from = len(self._log)
        self._rounds.clear()

    def pages(
        self, place: str, *, until: float = 0, headers: Mapping[str, str] | None = None
    ) -> Iterator[GraphPage]:
        del until, headers
        link: str | None = place
        while link is not None:
            self.asked.append(link)
            page = self.page(link)
            yield page
            link = page.next_link

    def page(self, link: str) -> GraphPage:
        self.before_page()
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        items, done_until = self._round(link)
        some, rest = items[: self.page_size], items[self.page_size :]
        if self.repeated:
            some = [*some, *some[:1]]
        written = tuple(json.dumps(item).encode() for item in some)
        if rest:
            next_link = f"{HOST}/v1.0/users/delta?$skiptoken={len(self.asked)}-{done_until}"
            self._rounds[next_link.removeprefix(HOST)] = rest
            return GraphPage(written, next_link=next_link)
        return GraphPage(written, f"{HOST}/v1.0/users/delta?$deltatoken={done_until}")

    def _round(self, link: str) -> tuple[list[Any], int]:
        if link == DELTA_PLACE:
            return list(self.users.values()), len(self._log)
        token = link.rpartition("=")[2]
        since = int(token.rpartition("-")[2])
        of_page = "skiptoken" in link
        if since < self._valid_from or (of_page and link.removeprefix(HOST) not in self._rounds):
            msg = "Graph refused: status 410, syncStateNotFound"
            raise GraphLinkExpired(msg, status=410, code="syncStateNotFound")
        if of_page:
            return self._rounds[link.removeprefix(HOST)], since
        changed = dict.fromkeys(self._log[since:])
        gone = {"@removed": {"reason": "changed"}}
        items = [self.users.get(user_id, {"id": user_id, **gone}) for user_id in changed]
        return items, len(self._log)


@dataclass
class Bus:
    """`LicensingEvents` that remembers what was sent."""

    events: list[Any] = field(default_factory=list)
    # Raised after so many requests.
    fails_after: int | None = None
    before: Callable[[], object] = bool

    def send(self, organization_id: str, changes: Sequence[DatedChange]) -> None:
        self.before()
        if self.fails_after is not None:
            if self.fails_after == 0:
                msg = "the bus did not take an event"
                raise Unavailable(msg)
            self.fails_after -= 1
        self.events += [licensing_event_of(one.change, organization_id, one.at) for one in changes]

    def said(self) -> list[tuple[str, str, str]]:
        """What was sent since the last time: of whom, what, and which product or country."""
        events, self.events = self.events, []
        return [
            (
                event["detail"]["userId"],
                event["detail-type"].removeprefix("License "),
                event["detail"].get("license") or event["detail"]["country"],
            )
            for event in events
        ]


class Bucket(InMemoryRecordsBucket):
    """Does what a test wants before a state is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.before_state: Callable[[], object] = bool

    def store_state(self, name: str, content: bytes, *, read: State | None) -> State:
        self.before_state()
        return super().store_state(name, content, read=read)


@dataclass
class World:
    """One tenant, its organization, and a clock that a test moves."""

    graph: DeltaGraph = field(default_factory=DeltaGraph)
    bus: Bus = field(default_factory=Bus)
    bucket: Bucket = field(default_factory=Bucket)
    directory: Directory = field(default_factory=tenant_row)
    now: datetime = BEGIN

    def current(self) -> Any:
        """The directory in force, as `Directories` has it."""
        return self.directory

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def use_case(self, graphs: Mapping[str, Graph] | None = None) -> PullGraphLicenses:
        return PullGraphLicenses(
            tenants=Tenants(graphs or {TENANT: self.graph}),
            directories=self,
            bucket=self.bucket,
            events=self.bus,
            place=DELTA_PLACE,
            read_user=read_delta_user,
            clock=self.clock,
        )

    def pull(
        self, deadline: Deadline = NEVER, accept_removals: Collection[str] = ()
    ) -> TenantLicenses:
        (done,) = self.use_case()(deadline, accept_removals)
        return done

    def sent(self) -> list[tuple[str, str, str]]:
        """What a run sends that must not fail."""
        done = self.pull()
        assert done.failure is None
        return self.bus.said()


@dataclass
class Tenants:
    """`GraphTenants` of a test."""

    graphs: Mapping[str, Graph]

    def current(self) -> Mapping[str, Graph]:
        return self.graphs
