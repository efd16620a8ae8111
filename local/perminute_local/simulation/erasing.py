"""Organizations that erase their users, while the calls of these are rated again.

A check of what was sent needs the names that are erased. So whoever is erased is remembered here,
with the key by which pseudonyms were made, and what is stored is shown with the names again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import chain, count
from typing import TYPE_CHECKING

from perminute.application.apply_licensing import LicensingEvent
from perminute.application.charge_calls import EndedCall
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.licensing.attributes import NAME
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.rating.call_content import digest_of
from perminute.domain.rating.erased_calls import is_pseudonym, pseudonym_of
from perminute.domain.reporting.postings import RevisedUsage
from perminute_local.simulation.faults import Fault, FaultRates, Killed, rng_of
from perminute_local.simulation.invariants.explanations import explain_all_calls
from perminute_local.simulation.invariants.invariant import invariant
from perminute_local.simulation.invariants.organization import books_of
from perminute_local.simulation.masking import charges_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping
    from datetime import datetime

    from perminute.application.erase_calls import Erased
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.limits.spending import SpendChange
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reporting.postings import ListedUsage
    from perminute_local.simulation.backends.backend import Backend, Posted, Snapshot
    from perminute_local.simulation.invariants.events import EventLog
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.invariants.organization import ReadEvent
    from perminute_local.simulation.plan import EventSent
    from perminute_local.simulation.scheduler import Scheduler

_SENT_AGAIN = 3
"""Events about somebody who is erased that are delivered again each time."""
_MOST_REQUESTS = 25
"""Requests after which the command is killed at the latest, so that it often does not end."""
_LATER = timedelta(days=3)
"""After this time nothing is recent any more, and the command erases what it had left."""
_TIMES_ERASED = (1, 2, 3)
"""How often a user may be erased, each time under another pseudonym."""
_ANY_NUMBER = "+49"
_Command = Callable[[], "Erased"]
_UserFact = tuple[str | None, "Fact"]


@dataclass
class _Erased:
    # What the simulator knows of an organization, and the tables shall not.
    key: bytes
    names: dict[str, str] = field(default_factory=dict)  # by pseudonym
    due: dict[str | None, bool] = field(default_factory=dict)  # whether it was tried before
    called: set[_UserFact] = field(default_factory=set)


@dataclass
class Erasing:
    """The organizations that erase users; the command is repeated until it leaves nothing."""

    backend: Backend
    scheduler: Scheduler
    events: EventLog
    send: Callable[[EventSent, str], object]
    settle: Callable[[], Broken | None]
    shown: MutableMapping[str, list[str | None]]
    """The names with which notifications of organizations were published."""
    names: MutableMapping[str, str]
    """Those of all users who are erased, by their pseudonyms."""
    _organizations: dict[str, _Erased] = field(default_factory=dict)
    _runs: Iterator[int] = field(default_factory=count)

    def begin(self, organization_id: str, user_id: str | None) -> None:
        """Have a user erased, or all, as soon as all calls have been reported."""
        key = self.backend.content_key(organization_id)
        self._organizations.setdefault(organization_id, _Erased(key)).due[user_id] = False

    def go_on(self) -> Broken | None:
        """Erase who is due; the first time the command breaks off, most likely."""
        return self._run(self.scheduler.now, self._interrupted)

    def finish(self) -> Broken | None:
        """Erase what is left: nothing is recent any more."""
        return self._run(self.scheduler.now + _LATER, _carry_out)

    def _run(self, at: datetime, first: Callable[[_Command], Erased | None]) -> Broken | None:
        found = (
            self._erase(organization_id, user_id, at, _carry_out if was_tried else first)
            for organization_id, erased in self._organizations.items()
            for user_id, was_tried in [*erased.due.items()]
        )
        return next(chain.from_iterable(found), None)

    def _erase(
        self,
        organization_id: str,
        user_id: str | None,
        at: datetime,
        run: Callable[[_Command], Erased | None],
    ) -> Iterator[Broken]:
        erased = self._organizations[organization_id]
        before = self.backend.snapshot(organization_id)
        gone = _remember(erased, user_id, before)
        self.names.update(erased.names)
        erased.due[user_id] = True
        if user_id is None:
            self.shown.pop(organization_id, None)
        try:
            done = run(partial(self.backend.erase_calls, organization_id, user_id, at))
        except Refused as error:  # what it needs was left out of the plan
            self.scheduler.log(f"{organization_id} cannot erase {user_id}: {error}")
            return
        stored = self.backend.snapshot(organization_id)
        shown = [self.unerased(organization_id, one) for one in (before, stored)]
        yield from (broken.of(organization_id) for broken in _changes_no_money(*shown))
        if done is None:
            return
        self.scheduler.log(f"erased {user_id} of {organization_id}: {done}")
        if not done.left:
            del erased.due[user_id]
        yield from self._find_names(organization_id, user_id, gone, stored, is_left=done.left > 0)
        if not erased.due:
            # Who is half erased has both names.
            yield from books_of(organization_id, stored, self.scheduler.now)
            yield from explain_all_calls(organization_id, stored, self.events.cards)
        yield from self._deliver_again(organization_id, gone, stored)

    def _find_names(
        self,
        organization_id: str,
        user_id: str | None,
        gone: set[str],
        stored: Snapshot,
        *,
        is_left: bool,
    ) -> Iterator[Broken]:
        words = {*self._words(organization_id, gone)}
        if user_id is None:
            words |= {str(fact.value) for _, fact in self._organizations[organization_id].called}
        contents = [*self._contents(organization_id, stored)]
        # What is recent is erased by another run.
        notifications = () if is_left else stored.notifications()
        for broken in _names_nobody(stored, words, contents, notifications):
            yield broken.of(organization_id)
        if user_id is None and not is_left:
            yield from (broken.of(organization_id) for broken in _has_no_key(stored))

    def _interrupted(self, erase: _Command) -> Erased | None:
        """Run the command until it breaks off; return None if it does."""
        injector, run = self.scheduler.injector, next(self._runs)
        rng = rng_of(self.scheduler.seed, "erasure", run)
        rates = injector.rates
        # Others would change what is stored meanwhile.
        others = {**rates.rates, Fault.OVERTAKE: 0}
        left = rng.randrange(_MOST_REQUESTS) if Fault.KILL in others else None
        injector.rates, injector.is_off = FaultRates(others), False
        try:
            with injector.invocation(rng), injector.before_each_request(_killer(left)):
                return erase()
        except (Killed, Unavailable) as error:
            self.scheduler.log(f"erasure {run} broke off: {type(error).__name__}")
            return None
        finally:
            injector.rates, injector.is_off = rates, True

    def _deliver_again(
        self, organization_id: str, users: set[str], stored: Snapshot
    ) -> Iterator[Broken]:
        about = [sent for sent, event in self.events.about(organization_id) if _of(event) in users]
        rng = rng_of(self.scheduler.seed, "erased", next(self._runs))
        for number, sent in enumerate(rng.sample(about, min(_SENT_AGAIN, len(about)))):
            at = f"{self.scheduler.now:%m%dT%H%M%S.%f}"
            self.send(sent, f"erased-{organization_id}-{at}-{len(users)}-{number}")
        if broken_by_others := self.settle():
            yield broken_by_others
        again = self.backend.snapshot(organization_id)
        yield from (broken.of(organization_id) for broken in _is_a_duplicate(stored, again))

    def _words(self, organization_id: str, users: set[str]) -> Iterator[str]:
        """Yield what must not be found any more: who called, in which meeting, whom."""
        calls = [e.call for _, e in self.events.about(organization_id) if isinstance(e, EndedCall)]
        of_others = {call.remote_number for call in calls if call.organizer_id not in users}
        yield from users
        for call in calls:
            if call.organizer_id in users:
                yield call.meeting_id
                if call.remote_number is not None and call.remote_number not in of_others:
                    yield call.remote_number

    def _contents(self, organization_id: str, stored: Snapshot) -> Iterator[str]:
        """Yield what is recorded of licensing events."""
        for _, event in self.events.about(organization_id):
            if isinstance(event, LicensingEvent):
                known = stored.processed_event(event.processed_event.key)
                yield known.content if known else ""

    # ── With the names again ─────────────────────────────────────────────────────────────────

    def unerased(self, organization_id: str, stored: Snapshot) -> Snapshot:
        """Return what is stored with the names of whoever is erased."""
        erased = self._organizations.get(organization_id)
        if erased is None:
            return stored
        name_of = partial(_name_of, erased.names)
        named: defaultdict[str, set[Fact]] = defaultdict(set)
        for user, timeline in stored.licensing.users.items():
            named[name_of(user)].update(timeline.facts)
        users = {user: Timeline(facts) for user, facts in named.items()}
        return stored._replace(
            usages={name: self._unerased(usage, erased) for name, usage in stored.usages.items()},
            posted=_posted(stored.posted, name_of),
            licensing=stored.licensing._replace(users=users),
            facts=frozenset(
                (None if user is None else name_of(user), fact) for user, fact in stored.facts
            )
            | erased.called,
            spend_changes={
                number: [_change(change, name_of) for change in changes]
                for number, changes in stored.spend_changes.items()
            },
            content_key=erased.key,
        )

    def _unerased(self, usage: Usage, erased: _Erased) -> Usage:
        """Return a call with the content that was reported, by its digest."""
        call, organizer_id = usage.call, erased.names.get(usage.call.organizer_id)
        if not usage.is_erased:
            return usage
        for sent in self.events.call(call.organization_id, call.call_id):
            is_it = digest_of(sent, erased.key) == usage.content_digest
            if is_it and sent.organizer_id == organizer_id:
                named = replace(call, organizer_id=organizer_id, meeting_id=sent.meeting_id)
                return usage._replace(call=named, is_erased=False)
        return usage


def _carry_out(erase: _Command) -> Erased:
    return erase()


def _remember(erased: _Erased, user_id: str | None, stored: Snapshot) -> set[str]:
    """Remember who is about to be erased; return who is named nowhere after that."""
    known = {user for user, _ in stored.facts if user is not None}
    known |= {usage.call.organizer_id for usage in stored.usages.values()}
    users = {user for user in known if not is_pseudonym(user)} if user_id is None else {user_id}
    for user in users:
        numbered = (pseudonym_of(user, erased.key, number) for number in _TIMES_ERASED)
        erased.names |= dict.fromkeys(numbered, user)
    if user_id is not None:
        return users
    erased.called |= {
        (user, fact) for user, fact in stored.facts if user is None and fact.attribute == NAME
    }
    return {*erased.names.values()}


def _killer(left: int | None) -> Callable[[], None]:
    """Return what kills a command before a request; None, it is not killed."""
    requests = count()

    def kill() -> None:
        if next(requests) == left:
            raise Killed

    return kill


def _of(event: ReadEvent) -> str | None:
    match event:
        case EndedCall(call=call):
            return call.organizer_id
        case LicensingEvent(change=change):
            return change.user_id
        case _:
            return None


def _name_of(names: Mapping[str, str], user: str) -> str:
    return names.get(user, user)


def _posted(posted: Posted, name_of: Callable[[str], str]) -> Posted:
    def named(usage: ListedUsage) -> ListedUsage:
        return usage._replace(organizer_id=name_of(usage.organizer_id))

    return posted._replace(
        lists=[one._replace(usages=tuple(map(named, one.usages))) for one in posted.lists],
        revisions=[
            one._replace(usages=tuple(RevisedUsage(*map(named, both)) for both in one.usages))
            for one in posted.revisions
        ],
    )


def _change(change: SpendChange, name_of: Callable[[str], str]) -> SpendChange:
    return change._replace(key=change.key._replace(subject=name_of(change.key.subject)))


# ── Promises ─────────────────────────────────────────────────────────────────────────────────────


@invariant
def _changes_no_money(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Erasing changes no money."""
    for call_id, usage in before.usages.items():
        erased = after.usages[call_id]
        if _without_number(erased) != _without_number(usage):
            yield f"{call_id} was {usage}, and is {erased}"
    for what, known, found in (
        ("the books", _books(before), _books(after)),
        ("what reports read", before.posted, after.posted),
        ("what is known of licenses", before.facts, after.facts),
    ):
        if known != found:
            yield f"{what} were {known}, and are {found}"


def _without_number(usage: Usage) -> Usage:
    call = replace(usage.call, remote_number=_ANY_NUMBER)
    return usage._replace(call=call, content_digest=None)


def _books(stored: Snapshot) -> tuple[object, ...]:
    account = stored.account._replace(version=0, licensing_version=0)
    statement = replace(stored.statement, account=account)
    return statement, stored.expired, stored.spend_changes


@invariant
def _names_nobody(
    stored: Snapshot, words: set[str], contents: list[str], notifications: object
) -> Iterator[str]:
    """Nothing that is stored names who is erased."""
    kinds: dict[str, object] = {
        "calls": stored.usages,
        "lists and revisions": stored.posted,
        "calls under way": stored.reservations,
        "facts": stored.facts,
        "limits": (stored.spend_counters, stored.spend_changes),
        "the check of the books": stored.check,
        "events": contents,
        "notifications": notifications,
        "the archive": stored.archived,
    }
    for kind, records in kinds.items():
        text = repr(records).lower()
        found = (word for word in sorted(words) if repr(word)[1:-1].lower() in text)
        yield from (f"{word} is in {kind}" for word in found)


@invariant
def _has_no_key(stored: Snapshot) -> Iterator[str]:
    """The key of an organization whose users are all erased is destroyed."""
    if stored.content_key is not None:
        yield "by its key pseudonyms and digests can still be connected with somebody"


@invariant
def _is_a_duplicate(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """An erased call that is delivered again changes nothing."""
    if charges_of(before) != charges_of(after) or before.facts != after.facts:
        yield "the charges, the calls or the licenses have changed"
