"""Find ties: statements that contradict each other, of which neither was issued later.

Which of them holds does not depend on the order of arrival (`Fact.order`). An admin may have meant
the other one, so each tie is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from perminute.domain.errors import Unavailable
from perminute.domain.licensing.timelines import Tie, without_later_copies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.application.retry import Deadline, RetryPolicy
    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.licensing.licensing import Licensing, LicensingChange
    from perminute.ports.stores import LicensingStore

SETTINGS = "Credits Configured"  # what a tie of settings is about

# Counts and logs the ties of an organization, or why it is not known whether there are any.
ReportTies = Callable[[str, Collection[Tie] | Unavailable], None]


def unreported(organization_id: str, found: Collection[Tie] | Unavailable) -> None:
    """Report nothing: what runs on no function has no metrics."""
    del organization_id, found


def tie_of_settings(
    organization_id: str, known: CreditSettings | None, new: CreditSettings
) -> list[Tie]:
    """Return the tie of settings with those that were in force before, if there is one."""
    if known is None or not new.ties_with(known):
        return []
    yields, holds = sorted((known, new), key=lambda settings: settings.order)
    return [Tie(organization_id, SETTINGS, new.configured_at, holds.event_id, yields.event_id)]


def ties_of_facts(
    licensing: LicensingStore,
    changes: Sequence[LicensingChange],
    *,
    retry: RetryPolicy,
    deadline: Deadline,
) -> Collection[Tie] | Unavailable:
    """Return the ties of facts of one organization that were just recorded, or why not."""
    organization_id = changes[0].organization_id
    user_ids = {change.user_id for change in changes if change.user_id is not None}
    # Read only now: two facts that are recorded at the same time would not see each other before.
    read = partial(licensing.licensing, organization_id, user_ids)
    try:
        known = retry.call(read, organization_id, deadline)
    except Unavailable as error:
        # That changes nothing about the facts, which are recorded.
        return error
    return frozenset(tie for change in changes for tie in _ties(change, known))


def _ties(change: LicensingChange, known: Licensing) -> Iterator[Tie]:
    new = {(fact.attribute, fact.effective_at): fact for fact in change.facts}
    user_id = change.user_id
    timeline = known.organization if user_id is None else known.users.get(user_id)
    for other in without_later_copies(timeline.facts) if timeline is not None else ():
        fact = new.get((other.attribute, other.effective_at))
        if fact is not None and fact.ties_with(other):
            yields, holds = sorted((fact, other), key=lambda fact: fact.order)
            issued_at, ids = holds.issued_at, (holds.event_id, yields.event_id)
            yield Tie(change.organization_id, holds.attribute, issued_at, *ids, user_id)
