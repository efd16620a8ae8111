"""How a fault shows at a method of an in-memory twin, in the words of its port."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from perminute.adapters.memory import (
    AnnouncedNotifications,
    InMemoryBookChecks,
    InMemoryCalls,
    InMemoryDigests,
    InMemoryErasure,
    InMemoryReratingQueue,
    InMemoryStore,
    ScheduledRedeliveries,
    SentCalls,
    SentMessages,
    SentWork,
    StoredRejections,
)
from perminute.domain.credit.transaction import AccountChanged
from perminute.domain.errors import Contended, Throttled, Unavailable
from perminute_local.simulation.faults import Fault, carry_out_unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perminute.ports.stores import ListedOrganizations


def _names(*methods: Callable[..., Any]) -> frozenset[str]:
    return frozenset(method.__name__ for method in methods)


_WRITE_ACCOUNTS = _names(InMemoryStore.commit, InMemoryStore.record, InMemoryStore.roll_over)
"""Transactions that raise `AccountChanged` if another one writes the same account."""
_CONTEND: Mapping[type, frozenset[str]] = {
    InMemoryStore: _names(
        InMemoryStore.finish,
        InMemoryStore.store,
        InMemoryStore.licensing,
        InMemoryStore.merge,
        InMemoryStore.pools,
        InMemoryStore.proceed,
    ),
    InMemoryBookChecks: _names(InMemoryBookChecks.store),
    InMemoryCalls: _names(InMemoryCalls.usages),
    InMemoryDigests: _names(InMemoryDigests.claim, InMemoryDigests.count, InMemoryDigests.send),
    InMemoryErasure: _names(InMemoryErasure.copy_timeline, InMemoryErasure.move_timeline),
}
"""Other writes under a condition, and transactions that read: they raise `Contended`."""
_READ_TOGETHER = _names(
    InMemoryDigests.counted,
    InMemoryStore.read,
    InMemoryStore.read_calls,
    InMemoryStore.reservations,
    InMemoryStore.spend_counters,
)
"""Readings of several items, of which only some may be answered."""
_READ_FROM_AN_INDEX = _names(
    InMemoryStore.calls_by_start,
    InMemoryStore.organizations,
    InMemoryStore.organizations_waiting,
    InMemoryStore.reported_calls,
)
"""Readings of an index that may lag behind."""
_SENDERS = (
    AnnouncedNotifications,
    InMemoryReratingQueue,
    ScheduledRedeliveries,
    SentCalls,
    SentMessages,
    SentWork,
    StoredRejections,
)
"""Adapters that send several things at once."""


def failing_request(  # noqa: PLR0911 - one for each kind of fault
    adapter: object,
    name: str,
    effect: Callable[[], Any],
    in_half: Callable[[], None],
    fault: Fault,
) -> Callable[[], Any] | None:
    """Return what to do in place of `effect`, a call of a method; None if it has no such fault.

    `in_half` sends half of what is to be sent.
    """
    match fault:
        case Fault.THROTTLE:
            return partial(_fail, Throttled if _collision(adapter, name) else Unavailable)
        case Fault.CONFLICT if collision := _collision(adapter, name):
            return partial(_fail, collision)
        case Fault.TIMEOUT_BEFORE:
            return unanswered
        case Fault.TIMEOUT_AFTER:
            return partial(unanswered, effect)
        case Fault.CUT if name in _READ_TOGETHER:
            return partial(_fail, Throttled)
        case Fault.CUT if name in _READ_FROM_AN_INDEX:
            return lambda: iter(list(effect())[::2])
        case Fault.CUT if name == "listed_organizations":
            return partial(_lagging, effect)
        case Fault.CUT if isinstance(adapter, _SENDERS) and name != "send_message":
            return partial(unanswered, in_half)
        case _:
            return None


def _lagging(effect: Callable[[], ListedOrganizations]) -> ListedOrganizations:
    page = effect()
    return page._replace(organization_ids=page.organization_ids[::2])


def _collision(adapter: object, name: str) -> type[Contended] | None:
    """Return what a method raises if another writer is in the way; None if none can be."""
    if isinstance(adapter, InMemoryStore) and name in _WRITE_ACCOUNTS:
        return AccountChanged
    return Contended if name in _CONTEND.get(type(adapter), ()) else None


def _fail(error: type[Unavailable]) -> NoReturn:
    msg = "something was in the way"
    raise error(msg)


def unanswered(effect: Callable[[], Any] | None = None) -> NoReturn:
    """Do what was asked, if it was, and raise `Unavailable` as if there had been no answer."""
    if effect is not None:
        carry_out_unanswered(effect)
    msg = "there was no answer"
    raise Unavailable(msg)
