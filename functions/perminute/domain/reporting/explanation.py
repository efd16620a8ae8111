"""Why a call cost what it did: from what is recorded of it, by the code that rates it.

The call is rated once more by the licenses, the rate and the pool minutes that are recorded. If
that differs from its record, the explanation says in what.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import zip_longest
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import EntryType
from perminute.domain.licensing.attributes import (
    COMMUNICATIONS_CREDITS_LICENSE,
    COUNTRY,
    DIAL_OUT_POLICY,
    LICENSES,
    LICENSING_PROGRAM,
    TOLL_FREE_DIAL_IN_ALLOWED,
)
from perminute.domain.pools.pools import Month, minutes_wanted
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.derivation import Derivation, derive
from perminute.domain.rating.rating import rate_call
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.postings import ListedUsage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.licensing.timelines import InForce
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rating import RatingContext
    from perminute.domain.rating.usage_record import Adjusted, Usage
    from perminute.domain.reference.licenses import License
    from perminute.domain.reporting.postings import Posting, RevisedUsage

POLICIES = {
    LegType.DIAL_OUT: DIAL_OUT_POLICY,
    LegType.TOLL_FREE_DIAL_IN: TOLL_FREE_DIAL_IN_ALLOWED,
}
"""The policy that calls of a leg type need, if they need one (docs/domain.md §6)."""


_NO_CAUSES: Mapping[str, str | None] = MappingProxyType({})


class Pending(StrEnum):
    """What may still change a call."""

    RERATING = "rerating"  # a change of licenses or credit has arrived, and is still to be applied
    SETTLING = "settling"  # the order in which calls draw on its minute pool is being restored


class LicenseInForce(NamedTuple):
    """A product that the organizer had when the call was answered, and the license in it."""

    product: str
    brings: License
    in_force: InForce


class Setting(NamedTuple):
    """Another attribute of the organizer or the organization that was in force then."""

    attribute: str
    of_organizer: bool
    in_force: InForce


class CallHistory(NamedTuple):
    """What transactions wrote about one call, beside its record."""

    # As it was listed when it was charged; None if it is in no list, as calls that are free.
    listed: tuple[Posting, ListedUsage] | None = None
    revisions: tuple[tuple[Posting, RevisedUsage], ...] = ()  # by version
    causes: Mapping[str, str | None] = _NO_CAUSES  # of the entries of revisions, by their ids


class Movement(NamedTuple):
    """The charge of a call, or a change of what it cost or became; signed micro-units."""

    amount_micros: int  # what credit paid; negative if it was given back
    entry_id: str | None  # None if credit paid neither more nor less
    type: EntryType | None
    at: datetime | None  # of the entry, else when it was posted; None if that is not recorded
    cause: str | None  # of the entry
    before: ListedUsage | None  # what it was before; None of the charge, and if not recorded


class Difference(NamedTuple):
    """A field of the record, and what rating the call again finds, or what the lists say."""

    field: str
    recorded: object
    found: object


class Explanation(NamedTuple):
    """Why a call cost what it did; money in micro-units of the currency of its price."""

    usage: Usage  # as it is recorded
    derivation: Derivation  # rated again by what is recorded
    currency: str | None  # of the credit
    licenses: tuple[LicenseInForce, ...]
    settings: tuple[Setting, ...]
    movements: tuple[Movement, ...]
    differences: tuple[Difference, ...]
    pending: tuple[Pending, ...]
    has_card: bool  # the whole card of the recorded version was read, not only the recorded row

    @property
    def is_faulty(self) -> bool:
        """Whether the record differs, and nothing is under way that would correct it."""
        return bool(self.differences) and not self.pending

    @property
    def debt_micros(self) -> int:
        """The part of the charge that no lot paid: it was made debt."""
        return self.usage.charge_micros + sum(share.amount_micros for share in self.usage.lots)

    @property
    def pool_month(self) -> Month:
        """The month on whose minute pool it draws, if it draws on one."""
        return Month.of(self.usage.call.rated_at)

    @property
    def pool_minutes_wanted(self) -> int:
        """The minutes that the call would have drawn from an ample pool."""
        return minutes_wanted(self.usage.call) if self.usage.draws_on_pool else 0

    @property
    def pool_minutes_left(self) -> int | None:
        """The minutes that the pool had left for the call; None if that is not recorded."""
        # A call that drew fewer minutes than it wanted has drawn all that were left for it.
        drawn = self.usage.pool_minutes
        return drawn if drawn < self.pool_minutes_wanted else None

    @property
    def policy_name(self) -> str | None:
        """The attribute of the policy that calls of its kind need; None if they need none."""
        return POLICIES.get(self.usage.call.leg_type)

    @property
    def policy(self) -> Setting | None:
        """The policy that decided whether the call was allowed; None if the default did."""
        # The organizer's own comes first, and before that of the organization.
        return next(
            (setting for setting in self.settings if setting.attribute == self.policy_name), None
        )

    @property
    def country(self) -> str | None:
        """The organizer's country when the call was answered, if it was known."""
        found = (
            setting.in_force.value for setting in self.settings if setting.attribute == COUNTRY
        )
        return next(map(str, found), None)


def explain(
    usage: Usage,
    history: CallHistory,
    context: RatingContext,
    *,
    pending: tuple[Pending, ...] = (),
    has_card: bool = False,
) -> Explanation:
    """Explain a recorded call.

    The `context` is of the account and the licensing by which calls are rated now; its rate card
    is that of the recorded version if `has_card`, else that of the recorded row alone.
    """
    call = usage.call
    rating = rate_call(call, context)
    drawn = min(usage.pool_minutes, rating.pool_minutes_wanted)
    derivation = derive(rating, context, drawn, usage.reserved_minutes)
    return Explanation(
        usage=usage,
        derivation=derivation,
        currency=context.currency,
        licenses=tuple(_licenses(call, context.licensing)),
        settings=tuple(_settings(call, context.licensing)),
        movements=tuple(_movements(usage, history)),
        differences=(
            *_rated_otherwise(usage, derivation.usage),
            *_listed_otherwise(usage, history),
        ),
        pending=pending,
        has_card=has_card,
    )


def _licenses(call: Call, licensing: Licensing) -> Iterator[LicenseInForce]:
    user = licensing.user(call.organizer_id)
    for attribute, brings in LICENSES.items():
        in_force = user.in_force(attribute, call.rated_at)
        if in_force is not None and in_force.value is True:
            yield LicenseInForce(attribute.partition(":")[2], brings, in_force)


def _settings(call: Call, licensing: Licensing) -> Iterator[Setting]:
    policy = POLICIES.get(call.leg_type)
    of_policy = () if policy is None else (policy,)
    organization = (LICENSING_PROGRAM, COMMUNICATIONS_CREDITS_LICENSE, *of_policy)
    for timeline, attributes, of_organizer in (
        (licensing.user(call.organizer_id), (COUNTRY, *of_policy), True),
        (licensing.organization, organization, False),
    ):
        for attribute in attributes:
            in_force = timeline.in_force(attribute, call.rated_at)
            if in_force is not None:
                yield Setting(attribute, of_organizer, in_force)


def _movements(usage: Usage, history: CallHistory) -> Iterator[Movement]:
    if usage.entry_id is not None:
        posting = history.listed[0] if history.listed else None
        at = posting and posting.entry_at
        charged = usage.movements[0].amount_micros
        yield Movement(charged, usage.entry_id, EntryType.CHARGE, at, None, None)
    for posting, (before, after) in history.revisions:
        amount_micros = after.charge_micros - before.charge_micros
        entry_id = posting.entry_id if amount_micros else None
        if entry_id is None:
            yield Movement(0, None, None, posting.posted_at, None, before)
            continue
        cause, at = history.causes.get(entry_id), posting.entry_at
        yield Movement(amount_micros, entry_id, EntryType.ADJUSTMENT, at, cause, before)


def _rated_otherwise(recorded: Usage, rated: Usage) -> Iterator[Difference]:
    before, after = _result(recorded), _result(rated)
    yield from (
        Difference(field, before[field], after[field])
        for field in before
        if before[field] != after[field]
    )


def _result(usage: Usage) -> dict[str, object]:
    # What rating decides: other flags are about the charge, and about what came later. Nobody rates
    # a free call again when credit turns out to have been set up earlier, in another currency.
    price = usage.stated_price
    if usage.outcome is Outcome.FREE:
        price = price._replace(unpriced=None)
    return {
        "outcome": usage.outcome,
        "reason": usage.reason,
        "charge_micros": usage.charge_micros,
        "pool_minutes": usage.pool_minutes,
        "draws_on_pool": usage.draws_on_pool,
        "policy_flag": usage.policy_flag,
        **price._asdict(),
    }


def _listed_otherwise(usage: Usage, history: CallHistory) -> Iterator[Difference]:
    # The last revision says what the call is; without one, the list that was written first.
    if history.revisions:
        listed = history.revisions[-1][1].after
    elif history.listed is not None:
        listed = history.listed[1]
    else:
        if usage.outcome is not Outcome.FREE:
            yield Difference("listed", usage.outcome, None)
        return
    recorded = ListedUsage.of(usage)
    for field, ours, theirs in zip(recorded._fields, recorded, listed, strict=True):
        if ours != theirs:
            yield Difference(f"listed.{field}", ours, theirs)
    yield from _posted_otherwise(usage.adjustments, history)


def _posted_otherwise(
    adjustments: Iterable[Adjusted], history: CallHistory
) -> Iterator[Difference]:
    posted = (
        (posting.entry_id, micros)
        for posting, (before, after) in history.revisions
        if (micros := after.charge_micros - before.charge_micros)
    )
    for recorded, listed in zip_longest(map(tuple, adjustments), posted):
        if recorded != listed:
            yield Difference("adjustments", recorded, listed)
