"""The functions over the in-memory twins, each of whose methods is a request that may go wrong."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from perminute.adapters.dynamodb.counter_items import pool_item
from perminute.adapters.dynamodb.digests import digest_items, first_call_item
from perminute.adapters.dynamodb.outbox_items import documents_in, outbox_item
from perminute.adapters.dynamodb.reratings import rerating_item
from perminute.adapters.memory import (
    AnnouncedNotifications,
    InMemoryDigests,
    InMemoryErasure,
    InMemoryPostings,
    InMemoryRecordedContent,
    InMemoryReratingQueue,
    InMemoryStore,
    ScheduledRedeliveries,
    SentCalls,
    SentMessages,
    SentWork,
    StoredRejections,
)
from perminute.adapters.memory.records import of
from perminute.adapters.messaging import work_body
from perminute.application.correct_rates import CorrectRates
from perminute.application.erase_calls import EraseCalls
from perminute.application.mask_numbers import MaskNumbers
from perminute.domain.credit.transaction import Transaction
from perminute.ports.messaging import RunOrganization
from perminute_local.simulation.backends.backend import MAX_FACTS, Posted, Snapshot
from perminute_local.simulation.backends.rate_cards import SimulatedRateCards
from perminute_local.simulation.backends.records import RECORDS_KEPT
from perminute_local.simulation.backends.twin_faults import failing_request
from perminute_local.simulation.backends.twin_functions import (
    RETRY,
    SharedTwins,
    load_twin,
    recorded_calls,
    stack_without_aws,
)
from perminute_local.simulation.turns import InTurns
from perminute_local.simulation.write_recorder import (
    CreditWrite,
    QueuedWork,
    Refusal,
    documents_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perminute.application.correct_rates import RateCorrection
    from perminute.application.erase_calls import Erased
    from perminute.application.mask_numbers import MaskedNumbers
    from perminute.domain.rerating.rerating import Rerating
    from perminute.ports.messaging import Announcement, Rejection
    from perminute_local.replay.lambda_runtime import LoadedFunction
    from perminute_local.simulation.backends.records import SimulatedRecords
    from perminute_local.simulation.faults import FaultInjector
    from perminute_local.simulation.write_recorder import WriteRecorder
    from perminute_local.stack import Template

P = TypeVar("P")

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_CHOSEN = {"DropBucket": "true", "WebhookSecret": "webhooks"}
"""Parameters of the template: all that these worlds have, and a default stack has not."""


class Twins:
    """A backend without AWS: a thousand worlds in some minutes."""

    def __init__(
        self,
        template: Template,
        card: tuple[bytes, str],
        injector: FaultInjector,
        recorder: WriteRecorder,
        records: SimulatedRecords,
    ) -> None:
        self.stack = stack_without_aws(template, _CHOSEN)
        self._injector, self._recorder = injector, recorder
        self._cards = SimulatedRateCards(card, recorder)
        store = InMemoryStore(max_facts=MAX_FACTS)
        self._shared = SharedTwins(
            self._cards,
            store,
            records=records,
            through=self._through,
            run_all=InTurns(injector),
        )
        self._functions = {function.name: function for function in self.stack.functions}

    def load(self, name: str) -> LoadedFunction:
        return load_twin(self._functions[name], self._shared)

    def publish(self, content: bytes, version: str) -> None:
        self._cards.publish(content, version)

    def store_version(self, content: bytes, version: str) -> None:
        self._cards.store_version(content, version)

    def correct_rates(self, organization_id: str, correction: RateCorrection) -> None:
        use_case = CorrectRates(recorded_calls(self._shared))
        deque(use_case.book(organization_id, correction), maxlen=0)

    def mask_numbers(self, organization_id: str, at: datetime) -> MaskedNumbers:
        content = self._through(InMemoryRecordedContent(self._shared.store))
        keys = self._through(self._shared.content_keys)
        archive = self._through(self._shared.archive)
        mask = MaskNumbers(content, keys, RETRY, timedelta(), archive=archive)
        return mask(RunOrganization(at, organization_id))

    def content_key(self, organization_id: str) -> bytes:
        return self._shared.content_keys.get_or_make(organization_id)

    def erase_calls(self, organization_id: str, user_id: str | None, at: datetime) -> Erased:
        store = self._through(self._shared.store)
        content = self._through(InMemoryRecordedContent(self._shared.store))
        erasure = self._through(InMemoryErasure(self._shared.store))
        keys = self._through(self._shared.content_keys)
        archive = self._through(self._shared.archive)
        erase = EraseCalls(store, store, content, erasure, keys, store, RETRY, archive)
        return erase(organization_id, user_id, at)

    def snapshot(self, organization_id: str) -> Snapshot:
        store = self._shared.store
        users = [u for name, u in store.facts if name == organization_id and u is not None]
        account = store.account(organization_id)
        return Snapshot(
            statement=store.statement(organization_id),
            usages={usage.call.call_id: usage for usage in store.usages_of(organization_id)},
            posted=Posted.read(InMemoryPostings(store), organization_id),
            expired=store.expired_lots(organization_id, since=_LONG_AGO),
            reservations=[
                one for (name, _), one in store.under_way.items() if name == organization_id
            ],
            licensing=store.licensing(organization_id, users)._replace(seats=store.seats(account)),
            facts=frozenset(
                (user, fact)
                for (name, user), facts in (*store.facts.items(), *store.further_facts.items())
                if name == organization_id
                for fact in facts
            ),
            spend_counters=[
                one for (name, _), one in store.spending.items() if name == organization_id
            ],
            spend_changes=store.spend_changes(organization_id, after=0, until=account.corrections),
            waiting=len(store.waiting(organization_id)),
            processed_event=store.processed_event,
            check=self._shared.checks.check(organization_id),
            content_key=self._shared.content_keys.find(organization_id),
            archived=self._shared.archive.calls(organization_id),
            notifications=partial(self._notifications, organization_id),
        )

    def _notifications(self, organization_id: str) -> object:
        store = self._shared.store
        return [one for one in store.outbox if one.organization_id == organization_id], [
            of(organization_id, some)
            for some in (store.calls_to_count, store.counted, store.first_calls)
        ]

    def corrupt(self, organization_id: str, micros: int) -> None:
        accounts = self._shared.store.accounts
        account = accounts[organization_id]
        balance_micros = account.balance_micros + micros
        accounts[organization_id] = account._replace(balance_micros=balance_micros)

    def _through(self, adapter: P) -> P:
        return cast("P", _Requests(self, adapter))

    def request(self, adapter: object, name: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - any method's
        """Call a method of a twin, unless a fault happens."""
        effect = partial(self._carry_out, adapter, name, args, options)
        in_half = partial(self._send_half, adapter, name, args)
        failing = partial(failing_request, adapter, name, effect, in_half)
        return self._injector.carry_out(f"{type(adapter).__name__}.{name}", effect, failing)

    def _send_half(self, adapter: object, name: str, args: tuple[Any, ...]) -> None:
        half = list(args[0])[: len(args[0]) // 2]
        some = {one: args[0][one] for one in half} if isinstance(args[0], dict) else half
        self._carry_out(adapter, name, (some,), {})

    def _carry_out(
        self, adapter: object, name: str, args: tuple[Any, ...], options: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - any method's
        store = self._shared.store
        published = len(store.outbox)
        result = getattr(adapter, name)(*args, **options)
        match adapter:
            case InMemoryStore():
                self._note_written(name, args, result)
            case InMemoryDigests():
                ids = frozenset(one.id for one in store.outbox[published:])
                self._note_published(name, args, ids)
            case AnnouncedNotifications():
                announcements: Sequence[Announcement] = args[0]
                refused = {one.event_id for one in cast("Sequence[Rejection]", result)}
                taken = [
                    announcement for announcement in announcements if announcement.id not in refused
                ]
                self._recorder.publish(documents_of(taken))
            case InMemoryReratingQueue():
                at: Mapping[str, datetime] = args[0] if name == "send_later" else {}
                self._recorder.rerating_requests += (
                    (organization_id, at.get(organization_id)) for organization_id in args[0]
                )
            case ScheduledRedeliveries():
                self._recorder.redeliveries.schedule(args[0])
            case StoredRejections():
                self._note_refused(adapter, args[0])
            case SentCalls():
                queue = _name_of(adapter, self._shared.calls)
                self._recorder.queued += (QueuedWork(queue, body) for body in args[0])
            case SentMessages():
                queue = _name_of(adapter, self._shared.messages)
                bodies = args[:1] if name == "send_message" else args[0]
                self._recorder.queued += (QueuedWork(queue, body) for body in bodies)
            case SentWork():
                queue = _name_of(adapter, self._shared.work)
                self._recorder.queued += (QueuedWork(queue, work_body(work)) for work in args[0])
            case _:
                pass
        return result

    def _note_written(self, name: str, args: tuple[Any, ...], result: object) -> None:
        match name, args, result:
            case "commit", (Transaction() as transaction,), _:
                self._note_transaction(transaction)
            case "record", (_, _, rerating), _ if rerating is not None:
                self._put(rerating, is_new=True)
            case "proceed" | "merge", (rerating, *_), True:
                self._put(replace(rerating, steps=rerating.steps + 1), is_new=False)
            case _:
                pass

    def _note_transaction(self, transaction: Transaction) -> None:
        recorder, decided = self._recorder, list[Any]()
        for notifications in transaction.outbox:
            item = outbox_item(notifications, transaction.after.version, transaction.causes)
            decided += documents_in(item)
            recorder.put(item, is_new=True)
        for pool in transaction.pools:
            written = pool_item(pool, transaction.steps.get(pool.month))
            recorder.put(written, is_new=False)
        for rerating in transaction.reratings:
            self._put(rerating, is_new=True)
        recorder.write(
            CreditWrite(
                organization_id=transaction.before.organization_id,
                account=None if transaction.after is transaction.before else transaction.after,
                entries=transaction.entries,
                decided=decided,
                usages=(*transaction.usages, *transaction.rerated),
                new_usages=transaction.usages,
                pools=transaction.pools,
            )
        )

    def _note_published(self, name: str, args: tuple[Any, ...], published: frozenset[str]) -> None:
        match name, args:
            case "claim", (str() as who, calls):
                items = [
                    first_call_item(who, group, call)
                    for group, call in calls.items()
                    if call.notification.id in published
                ]
            case "send", (str() as who, _, sent) if published:
                items = list(digest_items(who, sent))
            case _:
                return
        # As they are read back: what is a tuple here is a list in JSON.
        documents = json.loads(
            json.dumps([document for item in items for document in documents_in(item)])
        )
        for item in items:
            self._recorder.put(item, is_new=True)
        which = {"firsts" if name == "claim" else "decided": documents}
        self._recorder.write(CreditWrite(organization_id=who, **which))

    def _put(self, rerating: Rerating, *, is_new: bool) -> None:
        self._recorder.put(rerating_item(rerating), is_new=is_new)

    def _note_refused(self, adapter: StoredRejections, rejections: Sequence[Rejection]) -> None:
        queue = _name_of(adapter, self._shared.refused)
        recorder = self._recorder
        refused = recorder.records.refused if queue == RECORDS_KEPT else recorder.refused
        refused += (Refusal(queue, rejection.reason, rejection.body) for rejection in rejections)


def _name_of(adapter: object, by_name: Mapping[str, object]) -> str:
    return next(name for name, one in by_name.items() if one is adapter)


class _Requests:
    def __init__(self, twins: Twins, adapter: object) -> None:
        self._twins, self._adapter = twins, adapter

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._twins.request, self._adapter, name)
