"""Pull the phone calls of Microsoft Graph: what has not been charged yet is kept to be read.

Graph cannot be asked for what has changed, and its rows come a day or two late. So the last days
are read again each day, and compared with what is recorded. Only rows from which something follows
are kept, as files that are read like those that others drop: to charge a call again that is charged
would cost two write units for each of them, each day.

A row that only repeats a problem, or a conflict, is kept once: its digest is remembered for as long
as Graph may answer with it. A run that is interrupted has kept what it had read, and the next one
begins with the latest day. If what it remembers is lost, problems are reported once more.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import partial
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

from perminute.application.compare_records import OperatorRecords, days_to_compare
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.rating.call_content import differing_content
from perminute.domain.rating.calls import Call
from perminute.domain.values.times import end_of
from perminute.sources.compared import their_call
from perminute.sources.convert import convert
from perminute.sources.graph_pstn import GRAPH_PSTN, call_id_of
from perminute.sources.identity import ReadCalls
from perminute.sources.outcomes import Leg, Problem, Skip
from perminute.sources.stated_call import InputFile, SourceOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reference.directory import Directory
    from perminute.ports.directories import Directories
    from perminute.ports.graph import Graph, GraphPage
    from perminute.ports.records_bucket import RecordsBucket, State
    from perminute.ports.stores import Calls
    from perminute.sources.outcomes import Outcome, Result

WINDOW_DAYS = 7
"""How many days before the present one are read again: Graph's report lags a day or two, and a few
nights without a run, or without the right secret, lose nothing (our decision)."""

# A row leaves the window by then. A day more, since a run may be late.
_REMEMBERED_DAYS = WINDOW_DAYS + 2


class GraphTenants(Protocol):
    """The tenants whose calls are pulled. Raises `Unavailable`."""

    def current(self) -> Mapping[str, Graph]:
        """Return what to read of each."""


class Fate(StrEnum):
    """What becomes of a row of Graph; each row has one of them."""

    STANDS = "stands"  # recorded with the same content
    SKIPPED = "skipped"  # no call of ours, by design
    NEW = "new"  # kept: not recorded yet
    DIFFERS = "differs"  # kept: recorded with other content, which its charge will report
    PROBLEM = "problem"  # kept: an operator must act
    REPORTED_BEFORE = "reportedBefore"  # the same conflict or problem was kept on another day


KEPT = (Fate.NEW, Fate.DIFFERS, Fate.PROBLEM)


@dataclass(slots=True)
class TenantPull:
    """What was read of one tenant, and why not all of it if that failed."""

    tenant: str
    rows: Counter[Fate] = field(default_factory=Counter)
    failure: Unavailable | None = None

    @property
    def kept(self) -> int:
        """How many rows were kept to be read."""
        return sum(self.rows[fate] for fate in KEPT)


@dataclass(frozen=True, slots=True)
class PullGraphCalls:
    """The use case with its ports."""

    tenants: GraphTenants
    directories: Directories
    calls: Calls
    bucket: RecordsBucket
    retry: RetryPolicy

    def __call__(
        self, at: datetime, deadline: Deadline = NEVER, records: OperatorRecords | None = None
    ) -> list[TenantPull]:
        """Pull each tenant's calls of the days until `at`; a failure of one stops no other.

        What was read is added to `records`, to be compared with what was charged.
        Raises `Unavailable` if the tenants or the directory cannot be read.
        """
        graphs, directory = self.tenants.current(), self.directories.current()
        pulls = []
        for number, (tenant, graph) in enumerate(graphs.items()):
            share = deadline.share(len(graphs) - number)
            done = TenantPull(tenant)
            pulls.append(_Pull(self, graph, directory, at, share, done, records).run())
        return pulls


def graph_records(at: datetime) -> OperatorRecords:
    """Return what gathers the rows that a run compares with what was charged."""
    by_rate_card = GRAPH_PSTN.charges_by_rate_card
    return OperatorRecords(GRAPH_PSTN.name, days_to_compare(at), by_rate_card=by_rate_card)


def raise_failures(pulls: Sequence[TenantPull]) -> None:
    """Raise `Unavailable` if the calls of a tenant could not all be read: the run has failed."""
    failures = [f"{pull.tenant}: {pull.failure}" for pull in pulls if pull.failure]
    if failures:
        msg = f"{len(failures)} of {len(pulls)} tenants: {'; '.join(failures)}"
        raise Unavailable(msg)


def place_of_calls(begin: date | datetime, end: date | datetime) -> str:
    """Return where Graph has the calls that began from one instant to another, both included.

    They are at most 90 days apart, UTC (learn.microsoft.com/graph/api/
    callrecords-callrecord-getpstncalls).
    """
    first, last = (_written(at) for at in (begin, end))
    list_of_calls = "/v1.0/communications/callRecords/getPstnCalls"
    return f"{list_of_calls}(fromDateTime={first},toDateTime={last})"


def _written(at: date | datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _read_reported(state: State | None, name: str) -> dict[str, date]:
    """Return until when it is remembered, by digest, that a row was reported to an operator."""
    if state is None:
        return {}
    try:
        reported = json.loads(state.content)["reported"]
        return {digest: date.fromisoformat(day) for digest, day in reported.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = (
            f"the state {name} is damaged: delete its object, and known problems are reported once "
            "more"
        )
        raise Unavailable(msg) from error


def _written_reported(reported: Mapping[str, date]) -> bytes:
    days = {digest: day.isoformat() for digest, day in sorted(reported.items())}
    return json.dumps({"reported": days}).encode()


@dataclass(slots=True)
class _Pull:
    # The pull of one tenant.
    use_case: PullGraphCalls
    graph: Graph
    directory: Directory
    at: datetime
    deadline: Deadline
    done: TenantPull
    records: OperatorRecords | None
    # Days overlap, and a page may repeat a row of the one before.
    read_calls: ReadCalls = field(default_factory=ReadCalls)
    reported_before: Mapping[str, date] = field(default_factory=dict)
    reported_now: dict[str, date] = field(default_factory=dict)
    organizations: set[str] = field(default_factory=set)

    def run(self) -> TenantPull:
        try:
            self._check_tenant()
            state = self.use_case.bucket.state(self._state_name)
            self.reported_before = _read_reported(state, self._state_name)
            try:
                self._read_days()
            finally:
                # What was kept before an error must not be reported again.
                self._remember()
        except Unavailable as error:
            self.done.failure = error
        if self.records is not None:
            self._say_whose_records_are_complete(self.records)
        return self.done

    def _say_whose_records_are_complete(self, records: OperatorRecords) -> None:
        tenants = (
            self.directory.tenants.find(self.done.tenant, source=GRAPH_PSTN.name, at=end_of(day))
            for day in self._days()
        )
        of_tenant = {
            tenant.organization_id for tenant in tenants if tenant and tenant.organization_id
        }
        organizations = of_tenant | self.organizations
        records.organizations |= organizations
        if self.done.failure is not None:
            records.incomplete |= organizations

    def _check_tenant(self) -> None:
        # Each of its rows would be a problem of its own.
        key, source = self.done.tenant, GRAPH_PSTN.name
        days = list(self._days())
        if not any(self.directory.tenants.find(key, source=source, at=end_of(day)) for day in days):
            msg = f"the directory has no row tenant,{key}: add it; no call was read until then"
            raise Unavailable(msg)

    def _days(self) -> Iterator[date]:
        # The latest first: if time runs out, it is the days that were read on the days before.
        today = self.at.date()
        return (today - timedelta(days=ago) for ago in range(WINDOW_DAYS + 1))

    def _read_days(self) -> None:
        for day in self._days():
            place = place_of_calls(day, day + timedelta(days=1))
            for page in self.graph.pages(place, until=self.deadline.at):
                self._read_page(page)
                self.deadline.check()

    def _read_page(self, page: GraphPage) -> None:
        options = SourceOptions(tenant=self.done.tenant)
        file = InputFile("page", BytesIO(page.content))
        outcomes = list(convert(GRAPH_PSTN, [file], self.directory, options))
        results = [self.read_calls.check(outcome.result) for outcome in outcomes]
        recorded = self._recorded(results)
        reported = self.reported_before.keys() | self.reported_now.keys()
        kept, digests = list[bytes](), set[str]()
        # Strict: each row has an outcome.
        for row, outcome, result in zip(page.items, outcomes, results, strict=True):
            self._compare_later(outcome, result)
            fate, digest = _fate(outcome, result, recorded)
            if digest and digest in reported | digests:
                fate = Fate.REPORTED_BEFORE
            elif digest:
                digests.add(digest)
            self.done.rows[fate] += 1
            if fate in KEPT:
                kept.append(row)
        self._keep(page._replace(items=tuple(kept)))
        until = self.at.date() + timedelta(days=_REMEMBERED_DAYS)
        self.reported_now |= dict.fromkeys(digests, until)

    def _compare_later(self, outcome: Outcome, result: Result) -> None:
        if isinstance(result, Leg):
            self.organizations.add(result.organization_id)
            if self.records is not None:
                self.records.add(their_call(GRAPH_PSTN, outcome, result))
        elif isinstance(result, Problem) and self.records is not None:
            call_id = call_id_of(outcome.record)
            if call_id is not None:
                self.records.known.add(call_id)

    def _keep(self, page: GraphPage) -> None:
        if page.items:
            content = page.content
            # The same rows of the same run have the same name, so they are kept once.
            digest = sha256(content).hexdigest()[:16]
            folder = f"{GRAPH_PSTN.name}/tenant={self.done.tenant}"
            self.use_case.bucket.keep(f"{folder}/{self.at:%Y%m%dT%H%M%SZ}-{digest}.json", content)

    def _recorded(self, results: Sequence[Result]) -> Mapping[tuple[str, str], Usage]:
        legs: dict[str, set[str]] = {}
        for leg in results:
            if isinstance(leg, Leg):
                legs.setdefault(leg.organization_id, set()).add(leg.call_id)
        return {
            (organization_id, call_id): usage
            for organization_id, call_ids in legs.items()
            for call_id, usage in self._usages(organization_id, call_ids).items()
        }

    def _usages(self, organization_id: str, call_ids: set[str]) -> Mapping[str, Usage]:
        # A thousand calls at once may be more than the table answers.
        read = partial(self.use_case.calls.usages_by_id, organization_id, call_ids)
        return self.use_case.retry.call(read, organization_id, self.deadline)

    @property
    def _state_name(self) -> str:
        return f"graph/{self.done.tenant}"

    def _remember(self) -> None:
        if self.reported_now:
            self.use_case.retry.call(self._store_reported, self.done.tenant)

    def _store_reported(self) -> None:
        # With what another run has added meanwhile, and without what is past.
        name, bucket, today = self._state_name, self.use_case.bucket, self.at.date()
        read = bucket.state(name)
        reported = {**_read_reported(read, name), **self.reported_now}
        lasting = {digest: day for digest, day in reported.items() if day >= today}
        bucket.store_state(name, _written_reported(lasting), read=read)


def _fate(
    outcome: Outcome, result: Result, recorded: Mapping[tuple[str, str], Usage]
) -> tuple[Fate, str | None]:
    """Return what becomes of a row, and the digest of its content if an operator must know of it.

    A row of which something else follows than before, because the directory was corrected, has
    another digest.
    """
    # A row that cannot be read may have been a call, so it is kept like a problem.
    if isinstance(result, Problem) or (isinstance(result, Skip) and result.is_damaged):
        return Fate.PROBLEM, _digest([result.reason, outcome.record])
    if not isinstance(result, Leg):
        return Fate.SKIPPED, None
    usage = recorded.get((result.organization_id, result.call_id))
    # What a bridge reported is replaced by what it was, as by any other report of its end.
    if usage is None or usage.is_replaceable:
        return Fate.NEW, None
    call = _call_of(result)
    if call is not None and not differing_content(call, usage):
        return Fate.STANDS, None
    return Fate.DIFFERS, _digest(result.detail())


def _call_of(leg: Leg) -> Call | None:
    """Return the call that is charged of a leg; None if it is refused, as its charge will say."""
    try:
        return Call(**leg._asdict())
    except Refused:
        return None


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
