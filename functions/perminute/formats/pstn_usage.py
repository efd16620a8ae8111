"""Write calls as Microsoft's export of PSTN usage: its 20 columns, for tools that read them.

Microsoft Learn describes the columns ("PSTN usage report"). Theirs have amounts with two decimals
and ids that may repeat; here amounts have up to six, so that sums agree, and no `UsageId` repeats.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, assert_never
from uuid import UUID, uuid5

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.licenses import License
from perminute.domain.values.identifiers import is_guid
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from perminute.domain.reporting.postings import ListedUsage
    from perminute.formats.csv_output import Cell

COLUMNS = (
    "UsageId",
    "Call ID",
    "Conference ID",
    "User Location",
    "AAD ObjectId",
    "UPN",
    "User Display Name",
    "Caller ID",
    "Call Type",
    "Number Type",
    "Domestic/International",
    "Destination Dialed",
    "Destination Number",
    "Start Time",
    "End Time",
    "Duration Seconds",
    "Connection Fee",
    "Charge",
    "Currency",
    "Capability",
)

_USAGE_IDS = UUID("7aa0fd29-4416-414d-b8c8-6fea4c2b9e57")
"""The namespace of usage ids (RFC 9562, section 5.5); with another one, every id is another."""

_NUMBER_TYPES = {LegType.TOLL_DIAL_IN: "Toll", LegType.TOLL_FREE_DIAL_IN: "TollFree"}

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


def pstn_usage_row(organization_id: str, call: ExportedCall) -> tuple[Cell, ...]:
    """Return the cells of a call, in the order of `COLUMNS`."""
    usage, is_dial_out = call.usage, call.usage.leg_type is LegType.DIAL_OUT
    return (
        str(usage_id(organization_id, usage.call_id)),
        usage.call_id,
        call.meeting_id,
        call.country,
        usage.organizer_id if is_guid(usage.organizer_id) else None,
        None,  # UPN and display name are in the directory, which perminute does not read
        None,
        call.number,
        "conf_out" if is_dial_out else "conf_in",
        _NUMBER_TYPES.get(usage.leg_type),
        _distance(call.country, usage.country),
        usage.country,
        call.number,
        format_instant(usage.answered_at),
        format_instant(usage.ended_at),
        usage.connected_seconds,
        format_micros(usage.connection_fee_micros or 0),
        format_micros(usage.charge_micros),
        usage.currency,
        capability(usage, call.licenses),
    )


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


def _distance(home: str | None, destination: str | None) -> str | None:
    if home is None or destination is None:
        return None
    return "Domestic" if home == destination else "International"
