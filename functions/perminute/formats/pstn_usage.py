"""Write calls as Microsoft's export of PSTN usage: its 20 columns, for tools that read them.

Microsoft Learn describes the columns ("PSTN usage report"). Theirs have amounts with two decimals
and ids that may repeat; here amounts have up to six, so that sums agree, and no `UsageId` repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.rating.calls import LegType
from perminute.domain.reporting.exported_calls import capability, usage_id
from perminute.domain.values.identifiers import is_guid
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from perminute.domain.reporting.exported_calls import ExportedCall
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

_NUMBER_TYPES = {LegType.TOLL_DIAL_IN: "Toll", LegType.TOLL_FREE_DIAL_IN: "TollFree"}


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


def _distance(home: str | None, destination: str | None) -> str | None:
    if home is None or destination is None:
        return None
    return "Domestic" if home == destination else "International"
