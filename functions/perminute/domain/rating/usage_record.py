"""The record of one call: what was reported, what was decided, what pool and credit paid."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Rate, RateCard, Step, Unpriced

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from perminute.domain.credit.lots import LotShare
    from perminute.domain.rating.calls import Call, LegType


class Outcome(StrEnum):
    """What became of a call."""

    CHARGED = "charged"
    POOLED = "pooled"
    INCLUDED = "included"
    FREE = "free"
    NOT_ENTITLED = "notEntitled"
    UNRATED = "unrated"


class Free(StrEnum):
    """Why a call is free."""

    APP_JOIN = "appJoin"
    NOT_ANSWERED = "notAnswered"
    AD_HOC_MEETING = "adHocMeeting"


Reason = Free | NotEntitled | Unpriced


class Flag(StrEnum):
    """A remark on a call (docs/glossary.md)."""

    DIAL_OUT_NOT_ALLOWED = "dialOutNotAllowed"
    TOLL_FREE_NOT_ALLOWED = "tollFreeNotAllowed"
    OVERDRAWN = "overdrawn"
    RERATED = "rerated"
    REPORTED_BY_BRIDGE = "reportedByBridge"
    PREFIX_UNCERTAIN = "prefixUncertain"


# The flags of calls that the organizer's policies do not allow (docs/domain.md §6).
POLICY_FLAGS = (Flag.DIAL_OUT_NOT_ALLOWED, Flag.TOLL_FREE_NOT_ALLOWED)


class Price(NamedTuple):
    """The price of a call by the rate card, paid or not; money in micro-units of `currency`."""

    # It contains the row that priced the call, so that the call can be priced again, and its price
    # explained, without the card.
    rate_card_version: str
    billed_seconds: int = 0
    prefix: str | None = None  # also of a row that blocks the number
    country: str | None = None
    rate_micros_per_minute: int | None = None  # of the first step, like `increment_seconds`
    connection_fee_micros: int | None = None
    retail_micros: int | None = None  # None without a price
    currency: str | None = None
    unpriced: Unpriced | None = None  # why credit cannot pay it, also in another currency
    initial_increment_seconds: int = SECONDS_PER_MINUTE
    increment_seconds: int = SECONDS_PER_MINUTE
    later_steps: tuple[Step, ...] = ()
    is_prefix_uncertain: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of the row that priced the call; empty without a price."""
        if self.rate_micros_per_minute is None:
            return ()
        return (Step(0, self.rate_micros_per_minute, self.increment_seconds), *self.later_steps)

    def without_amounts(self) -> Price:
        """Return the price of a call that nobody pays: only its row and currency."""
        return Price(
            rate_card_version=self.rate_card_version,
            prefix=self.prefix,
            country=self.country,
            currency=self.currency,
            unpriced=self.unpriced,
            is_prefix_uncertain=self.is_prefix_uncertain,
        )

    def as_card(self, leg_type: LegType) -> RateCard:
        """Return a card that prices this call as its whole card does."""
        rows = () if self.prefix is None else (self._row(leg_type, self.prefix),)
        return RateCard(rows, version=self.rate_card_version, is_uncertain=self.is_prefix_uncertain)

    def _row(self, leg_type: LegType, prefix: str) -> Rate:
        return Rate(
            leg_type=leg_type,
            prefix=prefix,
            country=self.country,
            description="",
            currency=self.currency or "",
            connection_fee_micros=self.connection_fee_micros or 0,
            initial_increment_seconds=self.initial_increment_seconds,
            steps=self.steps,
            # It was in force when the call was answered, and is used for that instant only.
            effective_from=None,
            effective_to=None,
            blocked=self.unpriced is Unpriced.BLOCKED_NUMBER,
        )


class NotifiedAgain(NamedTuple):
    """A notification of a call by a transaction, named by its version, after the charge."""

    reason: str
    version: int


class Adjusted(NamedTuple):
    """The change that a ledger entry made to the charge of a call; signed micro-units."""

    entry_id: str
    amount_micros: int


class Usage(NamedTuple):
    """The record of one call: what was reported, what was decided, what pool and credit paid."""

    call: Call
    outcome: Outcome
    reason: Reason | None
    price: Price
    charge_micros: int  # by the charge `entry_id` and all adjustments
    pool_minutes: int = 0
    draws_on_pool: bool = False  # it has its position even if the pool had nothing left
    reserved_minutes: int = 0  # of the pool minutes, those that no earlier call can take
    authorized_at: datetime | None = None  # if it had reserved something before it began
    flags: tuple[Flag, ...] = ()
    entry_id: str | None = None
    adjustments: tuple[Adjusted, ...] = ()
    lots: tuple[LotShare, ...] = ()  # the rest of the charge was made debt
    # Notifications wait while its pool is unsettled, since that may change the outcome.
    notifications_held: bool = False
    # The latest of each reason: an earlier notification is out of date.
    notified_again: tuple[NotifiedAgain, ...] = ()
    # Of the call as it was reported, once its number is masked (call_content.py).
    content_digest: str | None = None
    is_erased: bool = False  # then organizer and meeting are pseudonyms

    @property
    def stated_price(self) -> Price:
        """The price as it is shown and summed: an unrated call has no amounts."""
        # A price in another currency than the credit's is recorded all the same: rated again, the
        # call may turn out to be pooled.
        return self.price.without_amounts() if self.outcome is Outcome.UNRATED else self.price

    @property
    def began_at(self) -> datetime:
        """The instant that says for which period of a limit the call counts."""
        return self.authorized_at or self.call.rated_at

    @property
    def movements(self) -> tuple[Adjusted, ...]:
        """The changes that made the charge, entry by entry."""
        if self.entry_id is None:
            return self.adjustments
        later_micros = sum(adjusted.amount_micros for adjusted in self.adjustments)
        first = Adjusted(self.entry_id, self.charge_micros - later_micros)
        return (first, *self.adjustments)

    @property
    def reported_by_bridge(self) -> bool:
        """Whether it was charged by its bridge's reports, and no `Call Ended` has come yet."""
        return Flag.REPORTED_BY_BRIDGE in self.flags

    @property
    def is_replaceable(self) -> bool:
        """Whether its `Call Ended` is to replace what its bridge reported."""
        return self.reported_by_bridge and not self.is_erased

    @property
    def policy_flag(self) -> Flag | None:
        """The flag of the policy that did not allow the call, if any."""
        return policy_flag_of(self.flags)


def policy_flag_of(flags: Iterable[Flag]) -> Flag | None:
    """Return the flag of the policy that did not allow a call, if any."""
    return next((flag for flag in flags if flag in POLICY_FLAGS), None)
