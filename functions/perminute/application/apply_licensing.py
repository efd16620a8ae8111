"""Take in licensing facts: who holds what, where, under which rules, from when on.

Facts are only ever added, so their order of arrival does not matter. Each change makes the next
version of the organization's account, which is how a charge in flight learns of it; and what was
charged before is looked at again (`rerate_calls`), since a fact may hold since long ago.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.application.find_ties import ReportTies, ties_of_facts, unreported
from perminute.application.recording import against_processed_event, names_in_log, rerating_id
from perminute.application.results import Accepted, Result
from perminute.application.retry import NEVER, Deadline, gave_up
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    FactsFolded,
    ProcessedEvent,
    TimelineFull,
)
from perminute.domain.errors import Refused, Unavailable, Unwritable
from perminute.domain.licensing.timelines import FOLD_MARGIN, RERATING_HORIZON
from perminute.domain.rerating.rerating import rerating_for
from perminute.domain.values.times import format_instant
from perminute.ports import MAX_CHANGES_PER_RECORD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from perminute.application.retry import RetryPolicy
    from perminute.domain.credit.transaction import EventIdentity
    from perminute.domain.licensing.licensing import LicensingChange
    from perminute.domain.rerating.rerating import Rerating
    from perminute.ports import LicensingStore


@dataclass(frozen=True, slots=True)
class LicensingEvent:
    """One licensing event: what it changes, its processed event, and when it was heard of."""

    change: LicensingChange
    processed_event: ProcessedEvent
    heard_at: datetime
    event_id: str = field(default="", compare=False)

    @property
    def names(self) -> dict[str, str]:
        """The ids by which it is found in the log."""
        return names_in_log(self.event_id, self.processed_event)


@dataclass(frozen=True, slots=True)
class ApplyLicensing:
    """The use case with what it needs from outside."""

    licensing: LicensingStore
    retry: RetryPolicy
    report_ties: ReportTies = unreported
    horizon: timedelta = RERATING_HORIZON
    """How long before its event was issued a fact may take effect."""

    def __call__(
        self, events: Sequence[LicensingEvent], deadline: Deadline = NEVER
    ) -> list[Result[None]]:
        """Take in each event, one transaction per organization and batch."""
        by_organization: defaultdict[str, dict[int, LicensingEvent]] = defaultdict(dict)
        for position, event in enumerate(events):
            by_organization[event.change.organization_id][position] = event
        results: dict[int, Result[None]] = {}
        for organization_id, of_organization in by_organization.items():
            results |= self._record_all(organization_id, of_organization, deadline)
        return [results[position] for position in range(len(events))]

    def _record_all(
        self, organization_id: str, events: Mapping[int, LicensingEvent], deadline: Deadline
    ) -> dict[int, Result[None]]:
        """Record in rounds, so that no transaction holds one identity twice."""
        results: dict[int, Result[None]] = {}
        while events:
            firsts: dict[EventIdentity, int] = {}
            for position, event in events.items():
                firsts.setdefault(event.processed_event.key, position)
            chosen = list(firsts.values())[:MAX_CHANGES_PER_RECORD]
            results |= self._record(organization_id, {n: events[n] for n in chosen}, deadline)
            events = {n: event for n, event in events.items() if n not in results}
        return results

    def _record(
        self, organization_id: str, events: Mapping[int, LicensingEvent], deadline: Deadline
    ) -> dict[int, Result[None]]:
        results: dict[int, Result[None]] = {}
        settled: dict[int, Result[None]]
        pending = dict(events)
        tries = self.retry.tries()
        try:
            next(tries)
            while pending:
                deadline.check()
                changes = [(event.change, event.processed_event) for event in pending.values()]
                rerating = _rerating(organization_id, list(pending.values()))
                settled = {}
                try:
                    self.licensing.record(organization_id, changes, rerating)
                except AlreadyExists as error:
                    settled = dict(_against_receipts(pending, error.processed_events))
                except FactsFolded as error:
                    settled = dict(_refuse_folded(pending, error.until))
                except (TimelineFull, AccountChanged) as in_the_way:
                    why = self._make_way(organization_id, in_the_way, pending.values())
                    if next(tries, None) is None:
                        raise gave_up(organization_id, why) from in_the_way
                else:
                    self._find_ties(organization_id, pending, deadline)
                    return results | dict.fromkeys(pending, Accepted(None))
                results |= settled
                pending = {n: event for n, event in pending.items() if n not in settled}
        except Unavailable as error:
            if isinstance(error, Unwritable) and len(pending) > 1:
                for n, event in pending.items():
                    results |= self._record(organization_id, {n: event}, deadline)
                return results
            return results | dict.fromkeys(pending, error)
        return results

    def _find_ties(
        self, organization_id: str, events: Mapping[int, LicensingEvent], deadline: Deadline
    ) -> None:
        changes = [event.change for event in events.values()]
        found = ties_of_facts(self.licensing, changes, retry=self.retry, deadline=deadline)
        self.report_ties(organization_id, found)

    def _make_way(
        self,
        organization_id: str,
        in_the_way: TimelineFull | AccountChanged,
        events: Collection[LicensingEvent],
    ) -> str:
        """Roll over what is full, and return why nothing was written.

        A timeline that others are just changing stays full, and is tried again. Whole days are
        folded, so that a refusal names an instant that people can read. What a replayed archive
        brings is folded by the time of the archive: the events after these are as old.
        """
        if isinstance(in_the_way, AccountChanged):
            return str(in_the_way)
        issued = (fact.issued_at for event in events for fact in event.change.facts)
        oldest = min(*(event.heard_at for event in events), *issued)
        before = oldest - self.horizon - FOLD_MARGIN
        midnight = before.replace(hour=0, minute=0, second=0, microsecond=0)
        for subject in in_the_way.subjects:
            with suppress(AccountChanged):
                self.licensing.roll_over(organization_id, subject, fold_before=midnight)
        return "its timelines are full again and again"


def _rerating(organization_id: str, events: Sequence[LicensingEvent]) -> Rerating | None:
    """Have the calls looked at that the events may concern, named by the first of them.

    Whether there are such calls need not be known: one that takes effect later concerns none.
    """
    return rerating_for(
        organization_id,
        rerating_id(events[0].processed_event),
        [(event.change.user_id, fact) for event in events for fact in event.change.facts],
        max(event.heard_at for event in events),
    )


def _against_receipts(
    pending: Mapping[int, LicensingEvent], known: Mapping[EventIdentity, ProcessedEvent]
) -> Iterator[tuple[int, Result[None]]]:
    for position, event in pending.items():
        recorded = known.get(event.processed_event.key)
        if recorded is not None:
            yield position, against_processed_event(event.processed_event, recorded)


def _refuse_folded(
    pending: Mapping[int, LicensingEvent], until: Mapping[str | None, datetime]
) -> Iterator[tuple[int, Result[None]]]:
    """Refuse what came so late, or long after the horizon was shorter, that it can't be judged."""
    for position, event in pending.items():
        folded = until.get(event.change.user_id)
        if folded and any(fact.effective_at < folded for fact in event.change.facts):
            whose = "this user's" if event.change.user_id else "the organization's"
            message = (
                f"lies before {format_instant(folded)}, and {whose} earlier facts are folded; "
                "send the event with that effectiveAt or a later one"
            )
            yield position, Refused("effectiveAt", message)
