"""Pull the license changes of Microsoft Graph's users, and send them as licensing events.

A delta query answers with all users the first time, then with those who have changed
(learn.microsoft.com/graph/delta-query-users). What was stated of each user is remembered, so an
event is sent only for what is new. Graph does not say when something changed: a change holds from
the instant at which the page that says it was asked for.

What is to be sent is stored before it is sent. A run that is interrupted is repeated with the same
events, which count once; of two runs at once one writes the state, and the other ends.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from perminute.application.graph_licenses_state import (
    GraphLicenses,
    Removals,
    read_graph_licenses,
    written_graph_licenses,
)
from perminute.application.retry import NEVER, Deadline
from perminute.domain.errors import Contended, Refused, Unavailable
from perminute.domain.licensing.graph_users import country_problem
from perminute.ports.graph import GraphRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.licensing.graph_users import GraphUser
    from perminute.domain.reference.directory import Directory
    from perminute.ports.directories import Directories
    from perminute.ports.graph import Graph, GraphPage
    from perminute.ports.licensing_events import LicensingEvents
    from perminute.ports.records_bucket import RecordsBucket, State

SOURCE = "graph-pstn"
"""The source by whose rows the directory says whose a tenant is: licenses are for its calls."""

_GONE = 410
# An expired token has the first code; Microsoft names the others for other lists.
_EXPIRED = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired"})
# Users whose changes are sent before what was sent is looked at again: a few requests.
_USERS_AT_ONCE = 50


class GraphTenants(Protocol):
    """The tenants whose users are read. Raises `Unavailable`."""

    def current(self) -> Mapping[str, Graph]:
        """Return what to read of each."""


@dataclass(slots=True)
class TenantLicenses:
    """What was read and sent of one tenant, and why not all of it if that failed."""

    tenant: str
    users: int = 0
    # Sent, by the names of events.
    sent: Counter[str] = field(default_factory=Counter)
    # What no event can state.
    problems: list[str] = field(default_factory=list)
    is_full: bool = False
    goes_on: bool = False  # no time was left: the next run goes on
    # Another run wrote the state meanwhile, and does the rest.
    overtaken: bool = False
    # Set if the answer was not acted on.
    refused: Removals | None = None
    failure: Unavailable | None = None

    @property
    def why_not_done(self) -> str:
        """Why an operator must act, or empty; work that the next run continues is no failure."""
        if self.refused is not None:
            users, holders = self.refused
            return f"an answer that takes the licenses of {users} of {holders} users is refused"
        return "" if self.failure is None else str(self.failure)


@dataclass(frozen=True, slots=True)
class PullGraphLicenses:
    """The use case with its ports."""

    tenants: GraphTenants
    directories: Directories
    bucket: RecordsBucket
    events: LicensingEvents
    # Where all users of a tenant are, with the fields of which changes are reported.
    place: str
    read_user: Callable[[bytes], GraphUser]
    clock: Callable[[], datetime]

    def __call__(
        self, deadline: Deadline = NEVER, accept_removals: Collection[str] = ()
    ) -> list[TenantLicenses]:
        """Send what has changed in each tenant; one's failure stops no other.

        `accept_removals` names tenants whose answer counts however many users lose their licenses.

        Raises `Unavailable` if the tenants or the directory cannot be read, and `Refused` for a
        tenant that is not among them.
        """
        graphs, directory = self.tenants.current(), self.directories.current()
        accepted = {tenant.lower() for tenant in accept_removals}
        if unknown := sorted(accepted - graphs.keys()):
            msg = f"names a tenant that the secret does not list: {', '.join(unknown)}"
            raise Refused("acceptRemovals", msg)
        pulls = []
        for number, (tenant, graph) in enumerate(graphs.items()):
            share = deadline.share(len(graphs) - number)
            pull = _Pull(self, graph, share, TenantLicenses(tenant), tenant in accepted)
            pulls.append(pull.run(directory))
        return pulls


def raise_failures(pulls: Sequence[TenantLicenses]) -> None:
    """Raise `Unavailable` if something was not done for a tenant: the run has failed."""
    failures = [f"{pull.tenant}: {why}" for pull in pulls if (why := pull.why_not_done)]
    if failures:
        msg = f"{len(failures)} of {len(pulls)} tenants: {'; '.join(failures)}"
        raise Unavailable(msg)


@dataclass(slots=True)
class _Pull:
    # The pull of one tenant.
    use_case: PullGraphLicenses
    graph: Graph
    deadline: Deadline
    done: TenantLicenses
    accepts_removals: bool
    state: State | None = None
    licenses: GraphLicenses = field(default_factory=lambda: GraphLicenses(""))

    def run(self, directory: Directory) -> TenantLicenses:
        try:
            self._load()
            # First what the run before could not send any more: it is the older news.
            if self._send():
                self._check_organization(directory)
                self._read_round()
        except Contended:
            self.done.overtaken = True
        except Unavailable as error:
            self.done.failure = error
        return self.done

    def _load(self) -> None:
        self.state = self.use_case.bucket.state(self._name)
        if self.state is not None:
            self.licenses = read_graph_licenses(self.state.content, self._name)

    def _store(self) -> None:
        content = written_graph_licenses(self.licenses)
        self.state = self.use_case.bucket.store_state(self._name, content, read=self.state)

    @property
    def _name(self) -> str:
        return f"graph-licenses/{self.done.tenant}"

    def _check_organization(self, directory: Directory) -> None:
        tenant = self.done.tenant
        entry = directory.tenants.find(tenant, source=SOURCE, at=self.use_case.clock())
        if entry is None or entry.organization_id is None:
            msg = f"the directory has no row tenant,{tenant}: add it; no user was read until then"
            raise Unavailable(msg)
        if self.licenses.organization_id != entry.organization_id:
            # Nothing was stated of the users of this organization. Those of the one before stay:
            # who has moved a tenant knows what holds there.
            self.licenses = GraphLicenses(entry.organization_id)

    def _read_round(self) -> None:
        if self.licenses.link == self.licenses.round_link:
            self.licenses.begin_round(self.licenses.link)
        try:
            is_read = self._read_pages()
        except GraphRefused as error:
            if not _is_expired(error) or self.licenses.link is None:
                raise
            self.licenses.begin_round(None)
            is_read = self._read_pages()
        if is_read:
            self._store()
            self._send()

    def _read_pages(self) -> bool:
        """Read to the end of the round; returns whether what it says is to be sent."""
        self.done.is_full = self.licenses.unseen is not None
        before = self.licenses.link
        try:
            delta_link, at = self._read_to_the_end()
        except Unavailable as error:
            if self.licenses.link != before and not _is_expired(error):
                # The pages that were read are not asked for again.
                self._store()
            if isinstance(error, GraphRefused) or not self.deadline.passed:
                raise
            self.done.goes_on = True
            return False
        return self._end_round(delta_link, at)

    def _read_to_the_end(self) -> tuple[str, datetime]:
        for page, at in self._pages():
            self._take(page, at)
            if page.delta_link is not None:
                return page.delta_link, at
            if page.next_link is None:
                break
            self.licenses.link = page.next_link
            self.deadline.check()
        msg = "Graph's answer has neither a next page nor a delta link"
        raise Unavailable(msg)

    def _pages(self) -> Iterator[tuple[GraphPage, datetime]]:
        place = self.licenses.link or self.use_case.place
        pages = self.graph.pages(place, until=self.deadline.at)
        while True:
            at = self.licenses.later_than_before(self.use_case.clock())
            page = next(pages, None)
            if page is None:
                return
            yield page, at

    def _take(self, page: GraphPage, at: datetime) -> None:
        users = [self._read_user(item) for item in page.items]
        for said in users:
            before = self.licenses.take(said, at)
            problem = country_problem(said, before.country)
            if problem is not None:
                self.done.problems.append(problem)
        self.done.users += len(users)

    def _read_user(self, item: bytes) -> GraphUser:
        try:
            return self.use_case.read_user(item)
        except Refused as error:
            msg = f"Graph's answer is not one of users: {error}"
            raise Unavailable(msg) from error

    def _end_round(self, delta_link: str, at: datetime) -> bool:
        round_link = self.licenses.round_link
        removals = self.licenses.end_round(delta_link, at)
        if removals.are_too_many and not self.accepts_removals:
            self.done.refused = removals
            # Read again from where it began: by then Graph may know better.
            self.licenses.begin_round(round_link)
            self._store()
            return False
        return True

    def _send(self) -> bool:
        """Send what has changed; returns whether all of it was sent."""
        if not self.licenses.is_read or not self.licenses.changed:
            return True
        waiting = list(self.licenses.changed)
        try:
            for start in range(0, len(waiting), _USERS_AT_ONCE):
                self.deadline.check()
                user_ids = waiting[start : start + _USERS_AT_ONCE]
                changes = self.licenses.changes_of(user_ids)
                self.use_case.events.send(self.licenses.organization_id, changes)
                self.licenses.mark_sent(user_ids)
                self.done.sent.update(dated.change.name for dated in changes)
        except Unavailable:
            self._store()
            if not self.deadline.passed:
                raise
            self.done.goes_on = True
            return False
        self._store()
        return True


def _is_expired(error: Unavailable) -> bool:
    return isinstance(error, GraphRefused) and (
        error.status == _GONE or error.code.casefold() in _EXPIRED
    )
