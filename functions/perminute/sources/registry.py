"""The sources of call records by their names (docs/sources.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.sources.asterisk import ASTERISK_AMI, ASTERISK_CSV
from perminute.sources.chime import CHIME_SMA, CHIME_VOICE_CONNECTOR
from perminute.sources.freeswitch_json import FREESWITCH_JSON
from perminute.sources.graph_pstn import GRAPH_PSTN
from perminute.sources.teams_csv import TEAMS_CSV
from perminute.sources.twilio import TWILIO_CALL, TWILIO_CALLBACK, TWILIO_EVENT_STREAM
from perminute.sources.zoom_telephone import ZOOM_TELEPHONE

if TYPE_CHECKING:
    from perminute.sources.stated_call import Source

_ALL = (
    GRAPH_PSTN,
    TEAMS_CSV,
    CHIME_VOICE_CONNECTOR,
    CHIME_SMA,
    TWILIO_CALLBACK,
    TWILIO_CALL,
    TWILIO_EVENT_STREAM,
    FREESWITCH_JSON,
    ASTERISK_CSV,
    ASTERISK_AMI,
    ZOOM_TELEPHONE,
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}
