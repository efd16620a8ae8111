"""Calls as they are exported: with an id that is unique, and what paid them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, assert_never
from uuid import UUID, uuid5

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.licenses import License

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from perminute.domain.reporting.postings import ListedUsage

_USAGE_IDS = UUID("7aa0fd29-4416-414d-b8c8-6fea4c2b9e57")
"""The namespace of usage ids (RFC 9562, section 5.5); with another one, every id is another."""

_BY_SUBSCRIPTION = frozenset({License.SUBSCRIPTION, License.COMMUNICATIONS_CREDITS})


class Capability(StrEnum):
    """What paid a call, by Microsoft's names."""

    PAY_PER_MINUTE = "MCOMEETACPEA"
    CREDITS_OF_SUBSCRIBER = "MCOPSTNPP"
    SUBSCRIPTION = "MCOMEETADD"
    NOT_PRICED = "FREECALL"


class ExportedCall(NamedTuple):
    """A call with what its list does not say."""

    usage: ListedUsage
    meeting_id: str
    number: str | None  # that sets the price, masked if the reader may not see it
    # Of the organizer, when the call was answered.
    country: str | None
    licenses: AbstractSet[License]


def usage_id(organization_id: str, call_id: str) -> UUID:
    """Return the id of a call that no call of any organization has as well."""
    # Each organization is a namespace: joined with a separator, two pairs could read alike.
    return uuid5(uuid5(_USAGE_IDS, organization_id), call_id)


def capability(usage: ListedUsage, licenses: AbstractSet[License]) -> Capability | None:
    """Return what paid a call; None if no license did, since nobody was entitled to it."""
    match usage.outcome:
        case Outcome.INCLUDED | Outcome.POOLED:
            return Capability.SUBSCRIPTION
        case Outcome.CHARGED:
            # A subscription is used before pay-per-minute (docs/domain.md §3.3).
            is_subscriber = licenses >= _BY_SUBSCRIPTION
            if is_subscriber and usage.leg_type is not LegType.TOLL_DIAL_IN:
                return Capability.CREDITS_OF_SUBSCRIBER
            return Capability.PAY_PER_MINUTE
        case Outcome.UNRATED:
            return Capability.NOT_PRICED
        case Outcome.NOT_ENTITLED | Outcome.FREE:
            return None
        case never:
            assert_never(never)
