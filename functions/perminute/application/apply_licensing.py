"""Record licensing facts: who holds what, where, under which rules, from when on.

Facts are only ever added, so their order of arrival does not matter. Each change makes the next
version of the organization's account, so a charge that runs at the same time fails and reads it;
calls since then are rated again (`rerate_calls`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.application.find_ties import ReportTies, ties_of_facts, unreported
from perminute.application.results import (
    Accepted,
    Result,
    against_processed_event,
    names_in_log,
    rerating_id,
)
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    EventIdentity,
    FactsFolded,
    ProcessedEvent,
    TimelineFull,
)
from perminute.domain.errors import Contended, Refused, Unavailable, Unwritable
from perminute.domain.licensing.timelines import FOLD_MARGIN, RERATING_HORIZON
from perminute.domain.rerating.rerating import rerating_for
from perminute.domain.values.times import format_instant
from perminute.ports.stores import MAX_CHANGES_PER_RECORD, LicensingStore

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from perminute.domain.licensing.licensing import LicensingChange


@dataclass(frozen=True, slots=True)
class LicensingEvent:
    """One licensing event."""

    change: LicensingChange
    processed_event: ProcessedEvent
    heard_at: datetime
    event_id: str = field(default="", compare=False)

    @property
    def names(self) -> dict[str, str]:
        """The ids by which the event is found in logs."""
        return names_in_log(self.event_id, self.processed_event)


# Events by their positions in the batch, and what became of them.
_Events = Mapping[int, LicensingEvent]
_Results = dict[int, Result[None]]


@dataclass(frozen=True, slots=True)
class ApplyLicensing:
    """The use case with what it needs from outside."""

    licensing: LicensingStore
    retry: RetryPolicy
    report_ties: ReportTies = unreported
    # How long before its event was issued a fact may take effect.
    horizon: timedelta = RERATING_HORIZON

    def __call__(
        self, events: Sequence[LicensingEvent], deadline: Deadline = NEVER
    ) -> list[Result[None]]:
        """Record each event, in one transaction for each organization if possible."""
        by_organization: defaultdict[str, dict[int, LicensingEvent]] = defaultdict(dict)
        for position, event in enumerate(events):
            by_organization[event.change.organization_id][position] = event
        results: _Results = {}
        for organization_id, of_organization in by_organization.items():
            pending = of_organization
            while pending:
                chosen = _of_one_transaction(pending)
                results |= self._record(organization_id, chosen, deadline)
                pending = {n: event for n, event in pending.items() if n not in results}
        return [results[position] for position in range(len(events))]

    def _record(self, organization_id: str, events: _Events, deadline: Deadline) -> _Results:
        results: _Results = {}
        pending = dict(events)

        def attempt() -> None:
            while pending:
                results.update(self._record_once(organization_id, pending, deadline))
                for position in results.keys() & pending.keys():
                    del pending[position]

        try:
            self.retry.call(attempt, organization_id, deadline)
        except Unavailable as error:
            if not isinstance(error, Unwritable) or len(pending) == 1:
                return results | dict.fromkeys(pending, error)
            for position, event in pending.items():
                results |= self._record(organization_id, {position: event}, deadline)
        return results

    def _record_once(self, organization_id: str, events: _Events, deadline: Deadline) -> _Results:
        first, *_ = events.values()
        changes = [(event.change, event.processed_event) for event in events.values()]
        rerating = rerating_for(
            organization_id,
            rerating_id(first.processed_event),
            [(change.user_id, fact) for change, _ in changes for fact in change.facts],
            max(event.heard_at for event in events.values()),
        )
        try:
            self.licensing.record(organization_id, changes, rerating)
        except AlreadyExists as error:
            recorded = error.processed_events
            return {
                position: against_processed_event(event.processed_event, recorded[key])
                for position, event in events.items()
                if (key := event.processed_event.key) in recorded
            }
        except FactsFolded as error:
            return _refused(events, error.until)
        except TimelineFull as error:
            self._roll_over(organization_id, error.subjects, events.values())
            msg = "its timelines are full again and again"
            raise Contended(msg) from error
        facts = [change for change, _ in changes]
        found = ties_of_facts(self.licensing, facts, retry=self.retry, deadline=deadline)
        self.report_ties(organization_id, found)
        return dict.fromkeys(events, Accepted(None))

    def _roll_over(
        self,
        organization_id: str,
        subjects: Collection[str | None],
        events: Collection[LicensingEvent],
    ) -> None:
        # The events of a replayed archive are folded by its time: those after them are as old.
        issued = (fact.issued_at for event in events for fact in event.change.facts)
        oldest = min(*(event.heard_at for event in events), *issued)
        before = oldest - self.horizon - FOLD_MARGIN
        # Whole days, so that a refusal names an instant that people can read.
        midnight = before.replace(hour=0, minute=0, second=0, microsecond=0)
        for subject in subjects:
            # A timeline that others are just changing stays full, and is tried again.
            with suppress(AccountChanged):
                self.licensing.roll_over(organization_id, subject, fold_before=midnight)


def _of_one_transaction(events: _Events) -> _Events:
    # A transaction has each identity once at most.
    firsts: dict[EventIdentity, int] = {}
    for position, event in events.items():
        firsts.setdefault(event.processed_event.key, position)
    return {n: events[n] for n in list(firsts.values())[:MAX_CHANGES_PER_RECORD]}


def _refused(events: _Events, folded_until: Mapping[str | None, datetime]) -> _Results:
    results: _Results = {}
    for position, event in events.items():
        folded = folded_until.get(event.change.user_id)
        if folded and any(fact.effective_at < folded for fact in event.change.facts):
            whose = "this user's" if event.change.user_id else "the organization's"
            message = (
                f"lies before {format_instant(folded)}, and {whose} earlier facts are folded; "
                "send the event with that effectiveAt or a later one"
            )
            results[position] = Refused("effectiveAt", message)
    return results
