"""Notifications as the outbox stores them, and as they are published (docs/notifications.md).

The outbox stores the facts: names in camelCase, money as decimal strings. What people read is
written when a notification is published, by the name that its organization has then.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from perminute.domain.credit.recharge import Disabled
from perminute.domain.errors import Refused
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.spending import LimitName
from perminute.domain.notifications.notifications import (
    CallNotification,
    Notification,
    NotificationBody,
)
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage import Flag
from perminute.domain.values.money import format_micros, read_micros
from perminute.domain.values.times import format_instant, parse_instant
from perminute.formats.notification_templates import NOTIFIED_FLAGS
from perminute.formats.notification_texts import UNKNOWN_SENDER, Sender, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perminute.ports import Announcement

_MICROS = "_micros"
_OR_NONE = " | None"
_COUNTED_ON = "countedOn"

Document = dict[str, Any]


def facts_of(notification: Notification, correlation_id: str = "") -> Document:
    """Write a notification with all that it carries, but for what people read."""
    news = notification.news
    carried = {field.name: getattr(news, field.name) for field in fields(news)}
    return {
        "id": notification.id,
        "type": notification.type,
        "organizationId": notification.organization_id,
        "at": format_instant(notification.at),
        **({"correlationId": correlation_id} if correlation_id else {}),
        **({_COUNTED_ON: notification.counted_on.isoformat()} if notification.counted_on else {}),
        **{
            _camel(name): _plain(name, value)
            for name, value in carried.items()
            if value is not None or name in _written_as_null(news)
        },
    }


def notification_of(document: Mapping[str, Any]) -> Notification:
    """Read what `facts_of` wrote; `Refused` names the field that is missing or cannot be read."""
    carried = _read(document, "type", _carried_by)
    kind = _KINDS[document["type"]]
    news = kind(**{field.attribute: _value(document, field) for field in carried})
    return Notification(
        id=_read(document, "id", _text),
        organization_id=_read(document, "organizationId", _text),
        at=_read(document, "at", parse_instant),
        news=news,
        counted_on=_read(document, _COUNTED_ON, date.fromisoformat)
        if _COUNTED_ON in document
        else None,
    )


def document_of(announcement: Announcement, sender: Sender = UNKNOWN_SENDER) -> Document:
    """Write a notification as it is published: its facts, its organization's name, and a text."""
    notification, name = announcement.notification, announcement.organization_name
    text = text_of(notification, name, sender)
    return {
        **facts_of(notification, announcement.correlation_id),
        **({"organizationName": name} if name else {}),
        "subject": text.subject,
        "text": text.body,
    }


def _written_as_null(news: NotificationBody) -> tuple[str, ...]:
    """Name what programs find null, not missing, if a call or a digest does not have it."""
    if not isinstance(news, CallNotification):
        return ()
    always = ("call_id", "retail_cost_micros")
    return always if news.calls is not None else (*always, "number", "answered_at")


def _camel(name: str) -> str:
    first, *rest = name.removesuffix(_MICROS).split("_")
    return first + "".join(word.title() for word in rest)


def _plain(name: str, value: object) -> object:
    if isinstance(value, int) and name.endswith(_MICROS):
        return format_micros(value)
    if isinstance(value, tuple):
        return list(value)
    return format_instant(value) if isinstance(value, datetime) else value


# ── Reading ──────────────────────────────────────────────────────────────────────────────────


class _Field(NamedTuple):
    """A field of a kind of news: in our code, in JSON, and how its value is read."""

    attribute: str
    name: str
    read: Callable[[Any], object]
    is_required: bool


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = "must be a text"
        raise TypeError(msg)
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int):
        msg = "must be a whole number"
        raise TypeError(msg)
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        msg = "must be a list of texts"
        raise TypeError(msg)
    return tuple(map(_text, value))


def _notified_flag(value: str) -> Flag:
    flag = Flag(value)
    if flag not in NOTIFIED_FLAGS:
        # Read, it would have no text, and every attempt to publish its batch would fail.
        msg = f"{flag.value} is no reason for a notification"
        raise ValueError(msg)
    return flag


_READERS: dict[str, Callable[[Any], object]] = {
    "str": _text,
    "int": _whole,
    "bool": bool,
    "datetime": parse_instant,
    "tuple[str, ...]": _texts,
    "Flag": _notified_flag,
    **{one.__name__: one for one in (Disabled, LegType, LimitName, NotEntitled, Unpriced)},
}
"""How a value is read, by the type that its field is declared with."""


def _fields_of(kind: type[NotificationBody]) -> tuple[_Field, ...]:
    return tuple(
        _Field(
            attribute=field.name,
            name=_camel(field.name),
            read=read_micros if field.name.endswith(_MICROS) else _READERS[_declared(field.type)],
            is_required=not str(field.type).endswith(_OR_NONE),
        )
        for field in fields(kind)
    )


def _declared(annotation: object) -> str:
    return str(annotation).removesuffix(_OR_NONE)


_KINDS: dict[str, Callable[..., NotificationBody]] = {
    kind.__name__: kind for kind in get_args(NotificationBody)
}
_CARRIED = {kind.__name__: _fields_of(kind) for kind in get_args(NotificationBody)}


def _carried_by(kind: object) -> tuple[_Field, ...]:
    carried = _CARRIED.get(_text(kind))
    if carried is None:
        msg = "is no kind of notification"
        raise ValueError(msg)
    return carried


def _value(document: Mapping[str, Any], field: _Field) -> object:
    """Read a field; one that may be None is, if it is null or missing."""
    if document.get(field.name) is None and not field.is_required:
        return None
    return _read(document, field.name, field.read)


def _read(document: Mapping[str, Any], name: str, read: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - what the reader returns
    if name not in document:
        raise Refused(name, "is missing in the stored notification")
    try:
        return read(document[name])
    except (TypeError, ValueError, AttributeError) as error:
        raise Refused(name, f"cannot be read in the stored notification: {error}") from error
