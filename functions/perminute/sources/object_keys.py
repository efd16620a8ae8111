"""The keys of objects with call records: `<source>/[tenant=T/][tz=Europe~Berlin/]name`.

A key says what a file does not: its source, and the options of `perminute calls convert`. Amazon
Chime SDK chooses its own keys (docs.aws.amazon.com/chime-sdk/latest/ag/manage-global.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from perminute.domain.errors import Refused
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.values.printable import one_line
from perminute.sources.chime import CHIME_SMA, CHIME_VOICE_CONNECTOR
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perminute.sources.stated_call import Source

_OF_CHIME = {
    "Amazon-Chime-Voice-Connector-CDRs": CHIME_VOICE_CONNECTOR,
    "Amazon-Chime-Voice-Connector-SDRs": CHIME_VOICE_CONNECTOR,
    # Of Amazon Chime, which has ended: the reader skips them by name.
    "Amazon-Chime-Business-Calling-CDRs": CHIME_VOICE_CONNECTOR,
    "Amazon-Chime-SMADRs": CHIME_SMA,
}
_TENANT, _TIMEZONE, _VALUES = "tenant", "tz", "values"
_OPTIONS = (_TENANT, _TIMEZONE, _VALUES)
_PLAIN = "plain"
# Names in the IANA database have slashes, and folders end at one.
_SLASH = "~"


class KeyedSource(NamedTuple):
    """What a key says of the records in its object."""

    source: Source
    options: SourceOptions


def read_key(key: str) -> KeyedSource:
    """Return the source and the options that a key names. Raises `Refused`."""
    first, *folders, _ = key.split("/") if "/" in key else ("", "")
    if first in _OF_CHIME:
        return KeyedSource(_OF_CHIME[first], SourceOptions())
    if first not in SOURCES:
        msg = (
            f"begins with no source: must be <source>/[tenant=T/][tz=Europe~Berlin/]name, where "
            f"<source> is one of {', '.join(SOURCES)}"
        )
        raise Refused(_shown("key", key), msg)
    return KeyedSource(SOURCES[first], _options(key, folders))


def write_key(source: str, options: SourceOptions, name: str) -> str:
    """Return the key of a file of records; `name` may have folders, which say nothing."""
    zone = options.timezone
    folders = (
        f"{_TENANT}={options.tenant}" if options.tenant is not None else "",
        f"{_TIMEZONE}={str(zone).replace('/', _SLASH)}" if zone is not None else "",
        "" if options.encoded_values else f"{_VALUES}={_PLAIN}",
    )
    return "/".join([source, *filter(None, folders), name])


def read_timezone(name: str, field: str) -> ZoneInfo:
    """Return a zone by its name in the IANA database. Raises `Refused`, which names the field."""
    try:
        return ZoneInfo(name)
    # As `zoneinfo` has it for names that are none, are no text, or that lead out of its database.
    except (KeyError, ValueError, OSError):
        msg = "must be a time zone of the IANA database, as Europe/Berlin"
        raise Refused(field, msg) from None


def _options(key: str, folders: Iterable[str]) -> SourceOptions:
    said = dict[str, str]()
    is_over = False
    for folder in folders:
        name, equals, value = folder.partition("=")
        if not equals:
            is_over = True
            continue
        if is_over and name not in _OPTIONS:
            # A folder of its sender's, such as `year=2026`.
            continue
        if is_over or name not in _OPTIONS or name in said:
            msg = (
                f"{one_line(folder, at_most=64)} is not an option here: after the source, each "
                f"once, there may be {', '.join(f'{option}=' for option in _OPTIONS)}"
            )
            raise Refused(_shown("key", key), msg)
        said[name] = value
    return SourceOptions(
        tenant=_tenant(said.get(_TENANT), key),
        timezone=_zone(said.get(_TIMEZONE), key),
        encoded_values=_has_encoded_values(said.get(_VALUES), key),
    )


def _tenant(value: str | None, key: str) -> str | None:
    if value is not None and not 0 < len(value) <= MAX_ID_LENGTH:
        msg = f"{_TENANT}= must have 1 to {MAX_ID_LENGTH} characters"
        raise Refused(_shown("key", key), msg)
    return value


def _zone(value: str | None, key: str) -> ZoneInfo | None:
    if value is None:
        return None
    try:
        return read_timezone(value.replace(_SLASH, "/"), _TIMEZONE)
    except Refused:
        msg = f"{_TIMEZONE}= must be a time zone of the IANA database, as {_TIMEZONE}=Europe~Berlin"
        raise Refused(_shown("key", key), msg) from None


def _has_encoded_values(value: str | None, key: str) -> bool:
    if value not in {None, _PLAIN}:
        msg = f"{_VALUES}= must be {_PLAIN}, which is for FreeSWITCH without encode-values"
        raise Refused(_shown("key", key), msg)
    return value is None


def _shown(what: str, key: str) -> str:
    return f"{what} {one_line(key, at_most=200)}"
