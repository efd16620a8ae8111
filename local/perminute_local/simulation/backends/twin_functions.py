"""The functions' own handlers over the in-memory twins of their adapters.

A handler takes its use cases from `bootstrap` when it is imported. Meanwhile twins replace the
adapters there, so the use cases are put together as in AWS.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from unittest.mock import patch

from perminute import aws
from perminute.adapters.memory import (
    AnnouncedNotifications,
    InMemoryBookChecks,
    InMemoryBooks,
    InMemoryCalls,
    InMemoryContentKeys,
    InMemoryDigests,
    InMemoryPostings,
    InMemoryReratingQueue,
    InMemoryStore,
    InMemoryUsageArchive,
    PublishedRateCards,
    ScheduledRedeliveries,
    SentCalls,
    SentMessages,
    SentWork,
    StoredRejections,
)
from perminute.application.charge_calls import ChargeCalls
from perminute.application.check_books import CheckBooks
from perminute.application.daily_runs import ListOrganizations
from perminute.application.ingest_records import IngestRecords
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.retry import RetryPolicy
from perminute.application.side_by_side import RunAll, in_order
from perminute.domain.licensing.timelines import RERATING_HORIZON
from perminute_local.conditions import Parameters, decided, parameters_of
from perminute_local.replay.lambda_runtime import LoadedFunction
from perminute_local.simulation.backends.backend import (
    MAX_SETTLED_AT_ONCE,
    ORGANIZATIONS_PER_PAGE,
    WHOLE_WITHIN_DAYS,
    in_pieces,
    replaced_in_bootstrap,
)
from perminute_local.simulation.backends.rate_cards import SimulatedRateCards
from perminute_local.stack import (
    Stack,
    Template,
    environment_of,
    environment_output,
    resources,
    stack_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from perminute.ports.directories import Directories
    from perminute.ports.messaging import RateCards
    from perminute_local.simulation.backends.records import SimulatedRecords
    from perminute_local.stack import Function

P = TypeVar("P")

RETRY = RetryPolicy(attempts=3, sleep=lambda _: None)
"""Few attempts, so that messages are handed back because others were in the way."""


class Through(Protocol):
    """Puts something before an adapter that looks like the adapter itself."""

    def __call__(self, adapter: P) -> P:
        """Return what the functions call."""


def directly(adapter: P) -> P:
    """Put nothing before an adapter."""
    return adapter


@dataclass
class SharedTwins:
    """What the functions share: tables, rate cards, topic and queues."""

    # Those in memory are shared; those in a bucket each instance of a function reads itself.
    cards: PublishedRateCards | SimulatedRateCards
    store: InMemoryStore = field(default_factory=InMemoryStore)
    topic: AnnouncedNotifications = field(default_factory=AnnouncedNotifications)
    rerating_requests: InMemoryReratingQueue = field(default_factory=InMemoryReratingQueue)
    calls: defaultdict[str, SentCalls] = field(default_factory=lambda: defaultdict(SentCalls))
    """Calls that were queued again, by queue."""
    checks: InMemoryBookChecks = field(default_factory=InMemoryBookChecks)
    content_keys: InMemoryContentKeys = field(default_factory=InMemoryContentKeys)
    archive: InMemoryUsageArchive = field(default_factory=InMemoryUsageArchive)
    work: defaultdict[str, SentWork] = field(default_factory=lambda: defaultdict(SentWork))
    """Work of daily runs, by queue."""
    refused: defaultdict[str, StoredRejections] = field(
        default_factory=lambda: defaultdict(StoredRejections)
    )
    """Refused messages, by dead-letter queue."""
    redeliveries: ScheduledRedeliveries = field(default_factory=ScheduledRedeliveries)
    messages: defaultdict[str, SentMessages] = field(
        default_factory=lambda: defaultdict(SentMessages)
    )
    """Other messages, by queue."""
    records: SimulatedRecords | None = None
    """What call records are read from; None, and no function may read any."""
    through: Through = directly
    run_all: RunAll = in_order
    """How the organizations of a batch are run."""

    def rate_cards(self) -> RateCards:
        """Return the rate cards of another instance of a function."""
        cards: RateCards
        cards = self.cards.start() if isinstance(self.cards, SimulatedRateCards) else self.cards
        return self.through(cards)


_PARAMETERS = {
    "BOOKS_READ_WHOLE_WITHIN_DAYS": str(WHOLE_WITHIN_DAYS),
    "RERATING_HORIZON_DAYS": str(RERATING_HORIZON.days),
    "WEBHOOK_URL": "https://records.example.com",
}
"""Parameters of the template, which have no values here."""
_DEFAULTS: Parameters = {}


class _TwinResources:
    def __init__(self, shared: SharedTwins, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.connection = self.tables = None
        self.credit = self.licensing = shared.through(shared.store)
        self._cards = shared.rate_cards()
        self._shared = shared

    def setting(self, name: str) -> str:
        return _PARAMETERS.get(name) or self.environment[name]

    def rate_cards(self) -> RateCards:
        return self._cards

    def directories(self) -> Directories:
        return self._shared.through(_records(self._shared).directories())


def recorded_calls(shared: SharedTwins) -> RecordedCalls:
    """Return what a correction of rates needs, which no function but a command does."""
    store = shared.through(shared.store)
    return RecordedCalls(
        credit=store,
        calls=shared.through(InMemoryCalls(shared.store)),
        licensing=LicensingCache(store),
        rate_cards=shared.rate_cards(),
        retry=RETRY,
    )


def load_twins(template: Template, shared: SharedTwins) -> dict[str, LoadedFunction]:
    """Load every function of the template over what is shared, by its logical id."""
    functions = stack_without_aws(template).functions
    return {function.name: load_twin(function, shared) for function in functions}


def load_twin(function: Function, shared: SharedTwins) -> LoadedFunction:
    """Load one function over what is shared."""
    with _twins_for_adapters(shared):
        return LoadedFunction(function)


@contextmanager
def _twins_for_adapters(shared: SharedTwins) -> Iterator[None]:
    """Replace the adapters, wherever `bootstrap` makes one, and the limits of use cases."""
    through, store = shared.through, shared.through(shared.store)
    twins = replaced_in_bootstrap(
        DynamoDBAccountStates=_always(store),
        DynamoDBBookChecks=_always(through(shared.checks)),
        DynamoDBBooks=_always(through(InMemoryBooks(shared.store))),
        DynamoDBCalls=_always(through(InMemoryCalls(shared.store))),
        DynamoDBCallsUnderWay=_always(store),
        DynamoDBContentKeys=_always(through(shared.content_keys)),
        DynamoDBDigests=_always(through(InMemoryDigests(shared.store))),
        DynamoDBPostings=_always(through(InMemoryPostings(shared.store))),
        DynamoDBReratings=_always(store),
        SNSTopic=_always(through(shared.topic)),
        SQSRedeliveries=_always(through(shared.redeliveries)),
        CachedSecret=lambda *_, **__: through(_records(shared).secret),
        IngestRecords=lambda **parts: _records(shared).watched(IngestRecords(**parts)),
        S3RecordObjects=lambda *_: through(_records(shared).objects),
        SQSQueue=lambda _, url: through(shared.messages[url]),
        SQSCalls=lambda _, url: through(shared.calls[url]),
        SQSRejections=lambda _, url: through(shared.refused[url]),
        SQSReratingQueue=_always(through(shared.rerating_requests)),
        SQSWork=lambda _, url: through(shared.work[url]),
        ChargeCalls=partial(ChargeCalls, settles_at_once=MAX_SETTLED_AT_ONCE),
        InThreads=_always(shared.run_all),
        CheckBooks=lambda **parts: in_pieces(CheckBooks(**parts)),
        ListOrganizations=partial(ListOrganizations, page_size=ORGANIZATIONS_PER_PAGE),
        RetryPolicy=_always(RETRY),
    )
    with twins, patch.object(aws, "AwsResources", partial(_TwinResources, shared)):
        yield


def _records(shared: SharedTwins) -> SimulatedRecords:
    assert shared.records is not None  # noqa: S101 - the stack has no such function otherwise
    return shared.records


def _always(value: object) -> Callable[..., Any]:
    """Return what replaces a class or function, whatever its arguments."""
    return lambda *_, **__: value


def stack_without_aws(template: Template, chosen: Parameters = _DEFAULTS) -> Stack:
    """Return a stack that was never created: its resources are named by their logical ids."""
    template = decided(template, parameters_of(template, chosen))
    names = _Names(
        (environment_output(logical_id, variable), _logical_id(value))
        for logical_id, function in resources(template, "AWS::Serverless::Function")
        for variable, value in environment_of(function, template).items()
    )
    return stack_of(template, names)


def _logical_id(value: Any) -> str:  # noqa: ANN401 - an intrinsic function, or what stands there
    return str(next(iter(value.values()))) if isinstance(value, dict) else str(value)


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name.removesuffix("Url")
