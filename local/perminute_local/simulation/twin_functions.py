"""The functions' own handlers over the in-memory twins of their adapters.

A handler takes its use cases from `bootstrap` when it is imported. Here it gets them from a
stand-in that puts the same use cases together with twins, which all functions share.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from unittest.mock import patch

from perminute import bootstrap
from perminute.adapters.memory import (
    AnnouncedNotifications,
    InMemoryBookChecks,
    InMemoryBooks,
    InMemoryCalls,
    InMemoryDigests,
    InMemoryReratingQueue,
    InMemoryStore,
    KeptRejections,
    PublishedRateCards,
    SentWork,
)
from perminute.api import bootstrap as api_bootstrap
from perminute.api.endpoints import ChargingApi
from perminute.application.apply_licensing import ApplyLicensing
from perminute.application.ask_price import AskPrice
from perminute.application.authorize_call import AuthorizeCall
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.charge_reported import ChargeReported
from perminute.application.check_books import CheckBooks
from perminute.application.daily_expiry import AccountExpiry, ExpireAccount
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.expire_credit import ExpireCredit
from perminute.application.licensing_cache import LicensingCache
from perminute.application.look_up_calls import LookUpCalls
from perminute.application.looking_again import LookingAgain
from perminute.application.publish_notifications import PublishNotifications
from perminute.application.queue_reratings import QueueForgotten, QueueReratings
from perminute.application.reconcile_books import BooksReport, ReconcileBooks
from perminute.application.rerate_calls import RerateCalls
from perminute.application.retry import RetryPolicy
from perminute.application.send_digests import SendDigests
from perminute_local.replay.lambda_runtime import LoadedFunction
from perminute_local.simulation.backend import (
    MOST_SETTLED_AT_ONCE,
    ORGANIZATIONS_ON_A_PAGE,
    WHOLE_WITHIN_DAYS,
    in_pieces,
)
from perminute_local.stack import (
    Stack,
    Template,
    environment_of,
    environment_output,
    resources,
    stack_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute_local.stack import Function


P = TypeVar("P")


class Through(Protocol):
    """What stands between functions and an adapter: it looks like the adapter itself."""

    def __call__(self, adapter: P) -> P:
        """Stand before an adapter."""
        ...


def directly(adapter: P) -> P:
    """Stand in nobody's way."""
    return adapter


@dataclass
class Shared:
    """What the functions share: the tables, the rate cards, the topic, what was kept.

    They reach each of it `through` something, which may stand in their way.
    """

    cards: PublishedRateCards
    store: InMemoryStore = field(default_factory=InMemoryStore)
    topic: AnnouncedNotifications = field(default_factory=AnnouncedNotifications)
    rerating_requests: InMemoryReratingQueue = field(default_factory=InMemoryReratingQueue)
    checks: InMemoryBookChecks = field(default_factory=InMemoryBookChecks)
    work: defaultdict[str, SentWork] = field(default_factory=lambda: defaultdict(SentWork))
    """The work of daily runs, by the queue that it was put into."""
    kept: defaultdict[str, KeptRejections] = field(
        default_factory=lambda: defaultdict(KeptRejections)
    )
    """Refused deliveries, by the queue of dead letters that they were put into."""
    through: Through = directly


class Twinned:
    """Stands in for `bootstrap.Application`: one function's use cases, over what all share."""

    def __init__(self, shared: Shared, environment: Mapping[str, str]) -> None:
        """Serve the function with this environment."""
        self._shared = shared
        self._environment = environment
        self._store = shared.through(shared.store)
        self._calls = shared.through(InMemoryCalls(shared.store))
        self._cards = shared.through(shared.cards)
        self._wakeups = shared.through(shared.rerating_requests)
        self._digests = shared.through(InMemoryDigests(shared.store))

    def rejections(self) -> KeptRejections:
        """See `Application.rejections`."""
        return self._shared.through(self._shared.kept[self._environment["DEAD_LETTER_QUEUE_URL"]])

    def charge_calls(self) -> ChargeCalls:
        """See `Application.charge_calls`."""
        licensing = LicensingCache(self._store)
        return ChargeCalls(
            self._store, self._calls, licensing, self._cards, PATIENCE, MOST_SETTLED_AT_ONCE
        )

    def rerate_calls(self) -> RerateCalls:
        """See `Application.rerate_calls`."""
        licensing = LicensingCache(self._store)
        again = LookingAgain(self._store, self._calls, licensing, self._cards, PATIENCE)
        return RerateCalls(again, self._store)

    def queue_reratings(self) -> QueueReratings:
        """See `Application.queue_reratings`."""
        return QueueReratings(self._wakeups, self.rejections())

    def wake_forgotten(self) -> QueueForgotten:
        """See `Application.wake_forgotten`."""
        return QueueForgotten(self._store, self._wakeups)

    def book_credit(self) -> BookCredit:
        """See `Application.book_credit`."""
        return BookCredit(self._store, PATIENCE)

    def daily_expiry(self) -> DailyRun[AccountExpiry]:
        """See `Application.daily_expiry`."""
        charge_reported = ChargeReported(self._store, self.charge_calls())
        send_digests = SendDigests(
            credit=self._store, calls=self._store, digests=self._digests, retry=PATIENCE
        )
        does = ExpireAccount(ExpireCredit(self._store, PATIENCE), charge_reported, send_digests)
        return DailyRun(self._organizations(only_due=True), does)

    def reconciliation(self) -> DailyRun[BooksReport]:
        """See `Application.reconciliation`."""
        check_books = CheckBooks(
            books=self._shared.through(InMemoryBooks(self._shared.store)),
            checks=self._shared.through(self._shared.checks),
            reconcile=ReconcileBooks(self._store, PATIENCE),
            retry=PATIENCE,
            whole_within_days=WHOLE_WITHIN_DAYS,
        )
        return DailyRun(self._organizations(), in_pieces(check_books))

    def _organizations(self, *, only_due: bool = False) -> ListOrganizations:
        queue = self._shared.through(self._shared.work[self._environment["WORK_QUEUE_URL"]])
        return ListOrganizations(self._store, queue, only_due, ORGANIZATIONS_ON_A_PAGE)

    def publish_notifications(self) -> PublishNotifications:
        """See `Application.publish_notifications`."""
        topic = self._shared.through(self._shared.topic)
        return PublishNotifications(topic, self._store, self.rejections(), self._digests)

    def apply_licensing(self) -> ApplyLicensing:
        """See `Application.apply_licensing`."""
        return ApplyLicensing(self._store, PATIENCE)


PATIENCE = RetryPolicy(sleep=lambda _: None)
"""Nobody else is in the way here, so there is nothing to pause for."""


def looking_again(shared: Shared) -> LookingAgain:
    """Put together what a correction of rates needs: it is a command, and no function."""
    store = shared.through(shared.store)
    return LookingAgain(
        credit=store,
        calls=shared.through(InMemoryCalls(shared.store)),
        licensing=LicensingCache(store),
        rate_cards=shared.through(shared.cards),
        retry=PATIENCE,
    )


def charging_api(shared: Shared) -> ChargingApi:
    """See `api.bootstrap.charging_api`."""
    store, cards = (
        shared.through(shared.store),
        shared.through(shared.cards),
    )
    licensing = LicensingCache(store)
    return ChargingApi(
        authorize_call=AuthorizeCall(
            under_way=store,
            credit=store,
            calls=shared.through(InMemoryCalls(shared.store)),
            licensing=licensing,
            rate_cards=cards,
            retry=PATIENCE,
        ),
        ask_price=AskPrice(store, licensing, cards),
        credit=store,
        look_up_calls=LookUpCalls(store),
    )


def twinned_functions(template: Template, shared: Shared) -> dict[str, LoadedFunction]:
    """Load every function of the template over what is shared, by its logical id."""
    return {one.name: twinned_function(one, shared) for one in described(template).functions}


def twinned_function(function: Function, shared: Shared) -> LoadedFunction:
    """Load one function over what is shared."""
    with _instead_of_aws(shared):
        return LoadedFunction(function)


def described(template: Template) -> Stack:
    """Describe a stack that nobody has made: what has a name in AWS goes by its logical id."""
    names = _Names(
        (environment_output(logical_id, variable), _called(value))
        for logical_id, function in resources(template, "AWS::Serverless::Function")
        for variable, value in environment_of(function, template).items()
    )
    return stack_of(template, names)


def _called(value: Any) -> str:  # noqa: ANN401 - an intrinsic function, or what stands there
    match value:
        case {"Fn::If": [_, _, otherwise]}:
            # No parameter is set, and each condition says that one is.
            return _called(otherwise)
    return str(next(iter(value.values()))) if isinstance(value, dict) else str(value)


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name.removesuffix("Url")


@contextmanager
def _instead_of_aws(shared: Shared) -> Iterator[None]:
    with (
        patch.object(bootstrap, "Application", lambda environment: Twinned(shared, environment)),
        patch.object(api_bootstrap, "charging_api", lambda _: charging_api(shared)),
    ):
        yield
