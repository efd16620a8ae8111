"""Organizations whose calls lose their phone numbers, while these calls are rated again.

What is masked must still be a duplicate when it is delivered again, and must cost what it did. What
it was before must be in the archive, however often that took nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import EntryType
from perminute.domain.errors import Unavailable
from perminute.domain.rating.call_content import digest_of, has_number, without_number
from perminute_local.simulation.faults import Killed, rng_of
from perminute_local.simulation.invariants.invariant import invariant
from perminute_local.simulation.plan import EventSent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backends.backend import Backend, Snapshot
    from perminute_local.simulation.invariants.events import EventLog
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.scheduler import Scheduler

_SENT_AGAIN = 3
"""Masked calls of an organization that are delivered again whenever everything has settled."""


@dataclass
class Masking:
    """The organizations that mask numbers, each from some time on."""

    backend: Backend
    scheduler: Scheduler
    events: EventLog
    send: Callable[[EventSent, str], object]
    settle: Callable[[], Broken | None]
    _organizations: dict[str, None] = field(default_factory=dict)
    _looked_up: set[tuple[str, str]] = field(default_factory=set)
    """Masked calls that were found in the archive: later their users may be erased."""

    def begin(self, number: int, organization_id: str) -> None:
        """Mask what has ended, with faults."""
        self._organizations[organization_id] = None
        try:
            with self.scheduler.injector.invocation(rng_of(self.scheduler.seed, "masking", number)):
                done = self.backend.mask_numbers(organization_id, self.scheduler.now)
        except (Killed, Unavailable) as error:
            self.scheduler.log(f"item {number} broke off: {type(error).__name__}")
        else:
            self.scheduler.log(f"item {number} masked {done.masked}: {done.failed}")

    def finish(self) -> Broken | None:
        """Mask all that has ended, without faults, and have some of it delivered again."""
        found = chain.from_iterable(self._finish(name) for name in self._organizations)
        return next(found, None)

    def _finish(self, organization_id: str) -> Iterator[Broken]:
        before, now = self.backend.snapshot(organization_id), self.scheduler.now
        done = self.backend.mask_numbers(organization_id, now)
        if done.failed is not None:
            raise done.failed
        masked = self.backend.snapshot(organization_id)
        new = {
            call_id: usage
            for call_id, usage in masked.usages.items()
            if usage.content_digest is not None
            and not usage.is_erased
            and (call_id, usage.content_digest) not in self._looked_up
        }
        for broken in chain(
            _changes_no_money(before, masked),
            _leaves_no_number(masked, now),
            _is_archived(new, before, masked),
        ):
            yield broken.of(organization_id)
        self._looked_up |= {(one, usage.content_digest or "") for one, usage in new.items()}
        for number, body in enumerate(islice(self.events.masked(masked), _SENT_AGAIN)):
            identity = f"masked-{organization_id}-{self.scheduler.now:%m%dT%H%M%S.%f}-{number}"
            self.send(EventSent("telephony", body), identity)
        if broken_by_others := self.settle():
            yield broken_by_others
        again = self.backend.snapshot(organization_id)
        for broken in _is_a_duplicate(masked, again):
            yield broken.of(organization_id)


@invariant
def _changes_no_money(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Masking changes no money."""
    for call_id, usage in before.usages.items():
        masked = after.usages[call_id]
        is_changed = masked.call.remote_number != usage.call.remote_number
        due = without_number(usage, b"") if is_changed else usage
        if masked != due._replace(content_digest=masked.content_digest):
            yield f"{call_id} was {usage}, and is {masked}"
    if (before.statement, before.posted) != (after.statement, after.posted):
        yield "the books have changed"


@invariant
def _leaves_no_number(stored: Snapshot, now: datetime) -> Iterator[str]:
    """What was masked leaves no number behind."""
    for call_id, usage in stored.usages.items():
        if usage.call.ended_at < now and has_number(usage):
            yield f"{call_id} still has {usage.call.remote_number}"


@invariant
def _is_archived(new: Mapping[str, Usage], before: Snapshot, after: Snapshot) -> Iterator[str]:
    """What was masked is in the archive as it was before."""
    if after.archived is None:
        return
    archived = {one for one in after.archived if one.call.call_id in new}
    key = after.content_key or b""
    digests = {(one.call.call_id, digest_of(one.call, key)) for one in archived}
    for call_id, usage in new.items():
        known = before.usages[call_id]
        if known.content_digest is None and known not in archived:
            yield f"{call_id} was {known}, and is not in the archive"
        # Of what was masked earlier, with faults, only the digest is known.
        if (call_id, usage.content_digest) not in digests:
            yield f"{call_id} is in the archive, if at all, with another content"


@invariant
def _is_a_duplicate(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """A masked call that is delivered again changes nothing."""
    # Any message may bring an account up to date, and so expire credit.
    if charges_of(before) != charges_of(after):
        changed = [one for one, usage in before.usages.items() if after.usages[one] != usage]
        yield f"the charges, or the calls {changed}, have changed"


def charges_of(stored: Snapshot) -> tuple[object, ...]:
    """Return what no delivery of the same events may change."""
    booked = [entry for entry in stored.statement.entries if entry.type is not EntryType.EXPIRY]
    return stored.usages, booked, stored.statement.charges_micros, stored.statement.pool_minutes
