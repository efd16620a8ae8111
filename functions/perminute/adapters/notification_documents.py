"""Notifications as the outbox stores them, and as they are published (docs/notifications.md).

The outbox stores the facts: names in camelCase, money as decimal strings. What people read is
written when a notification is published, with the name that its organization has then.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, get_args

from perminute.domain.comparison.difference_kinds import DifferenceKind
from perminute.domain.credit.recharge import Disabled
from perminute.domain.errors import Refused
from perminute.domain.forecast.figures import Band, Confidence, RunsOut
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.spending import LimitName
from perminute.domain.notifications.notifications import (
    CallFlagged,
    CallNotEntitled,
    CallNotification,
    CallNotRated,
    DifferingCalls,
    Notification,
    NotificationBody,
)
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag
from perminute.domain.values.money import format_micros, read_micros
from perminute.domain.values.times import format_instant, parse_instant
from perminute.formats.notification_templates import NOTIFIED_FLAGS
from perminute.formats.notification_texts import UNKNOWN_SENDER, Sender, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from perminute.ports.messaging import Announcement

_MICROS = "_micros"
_OR_NONE = " | None"
_COUNTED_ON = "countedOn"
_KINDS = "kinds"

Document = dict[str, Any]


def facts_of(notification: Notification, correlation_id: str = "") -> Document:
    """Write everything that a notification carries, but for what people read."""
    body = notification.body
    return {
        "id": notification.id,
        "type": notification.type,
        "organizationId": notification.organization_id,
        "at": format_instant(notification.at),
        **({"correlationId": correlation_id} if correlation_id else {}),
        **({_COUNTED_ON: notification.counted_on.isoformat()} if notification.counted_on else {}),
        **{
            _camel(name): _plain(name, value)
            for name, value in body._asdict().items()
            if value is not None or name in _written_as_null(body)
        },
    }


def notification_of(document: Mapping[str, Any]) -> Notification:
    """Read what `facts_of` wrote; `Refused` names the field that is missing or cannot be read."""
    kind = _read(document, "type", _kind)
    is_counted = _COUNTED_ON in document
    return Notification(
        id=_read(document, "id", _text),
        organization_id=_read(document, "organizationId", _text),
        at=_read(document, "at", parse_instant),
        body=kind(**dict(_values(document, kind))),
        counted_on=_read(document, _COUNTED_ON, date.fromisoformat) if is_counted else None,
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


def _written_as_null(body: NotificationBody) -> tuple[str, ...]:
    """Return what programs find null, not missing, if a call or a digest does not have it."""
    if not isinstance(body, CallNotification):
        return ()
    always = ("call_id", "retail_cost_micros")
    return always if body.calls is not None else (*always, "number", "answered_at")


def _camel(name: str) -> str:
    first, *rest = name.removesuffix(_MICROS).split("_")
    return first + "".join(word.title() for word in rest)


def _plain(name: str, value: object) -> object:
    if isinstance(value, int) and name.endswith(_MICROS):
        return format_micros(value)
    if isinstance(value, RunsOut):
        return {name: day and day.isoformat() for name, day in value._asdict().items()}
    if isinstance(value, Band):
        return {name: format_micros(micros) for name, micros in value._asdict().items()}
    if name == _KINDS and isinstance(value, tuple):
        return {
            kind_sum.kind.value: {
                "calls": kind_sum.calls,
                "seconds": kind_sum.seconds,
                "cost": format_micros(kind_sum.cost_micros),
            }
            for kind_sum in value
        }
    if isinstance(value, tuple):
        return list(value)
    return format_instant(value) if isinstance(value, datetime) else value


# ── Reading ──────────────────────────────────────────────────────────────────────────────────


def _values(
    document: Mapping[str, Any], kind: Callable[..., NotificationBody]
) -> Iterator[tuple[str, object]]:
    """Read the fields of a kind; one that may be None is None if it is null or missing."""
    for name, declared in declared_types(kind).items():
        may_be_none = declared.endswith(_OR_NONE)
        if may_be_none and document.get(_camel(name)) is None:
            yield name, None
        else:
            reader = _READERS.get(declared.removesuffix(_OR_NONE)) or _REASONS[kind]
            yield name, _read(document, _camel(name), read_micros if _MICROS in name else reader)


def declared_types(kind: Any) -> dict[str, str]:  # noqa: ANN401 - a class of named tuples
    (declaring,) = (base for base in kind.__mro__ if "_fields" in vars(base))
    return {
        name: annotation.__forward_arg__ for name, annotation in declaring.__annotations__.items()
    }


def _is_a(expected: type, what: str) -> Callable[[object], Any]:
    def read(value: object) -> object:
        if not isinstance(value, expected):
            msg = f"must be {what}"
            raise TypeError(msg)
        return value

    return read


_text = _is_a(str, "a text")
_list = _is_a(list, "a list of texts")
_whole = _is_a(int, "a whole number")


def _kind(value: str) -> Callable[..., NotificationBody]:
    for kind in get_args(NotificationBody):
        if kind.__name__ == value:
            return kind  # type: ignore[no-any-return] # a member of the union
    msg = "is not a kind of notification"
    raise ValueError(msg)


def _notified_flag(value: str) -> Flag:
    flag = Flag(value)
    if flag not in NOTIFIED_FLAGS:
        # Read, it would have no text, and every attempt to publish its batch would fail.
        msg = f"{flag.value} is not a reason for a notification"
        raise ValueError(msg)
    return flag


def _differing_calls(value: Any) -> tuple[DifferingCalls, ...]:  # noqa: ANN401 - JSON
    return tuple(
        DifferingCalls(
            DifferenceKind(kind),
            _whole(figures["calls"]),
            _whole(figures["seconds"]),
            read_micros(figures["cost"]),
        )
        for kind, figures in value.items()
    )


def _runs_out(value: Any) -> RunsOut:  # noqa: ANN401 - JSON
    days = (value[name] for name in RunsOut._fields)
    return RunsOut(*(day and date.fromisoformat(day) for day in days))


def _band(value: Any) -> Band:  # noqa: ANN401 - JSON
    return Band(*(read_micros(value[name]) for name in Band._fields))


_READERS: dict[str, Callable[[Any], object]] = {
    "str": _text,
    "int": _whole,
    "bool": bool,
    "datetime": parse_instant,
    "tuple[DifferingCalls, ...]": _differing_calls,
    "RunsOut": _runs_out,
    "Band": _band,
    "tuple[str, ...]": lambda value: tuple(map(_text, _list(value))),
    **{enum.__name__: enum for enum in (Confidence, Disabled, LegType, LimitName)},
}
"""How a value is read, by the type that its field is declared with."""

_REASONS: dict[object, Callable[[Any], object]] = {
    CallNotEntitled: NotEntitled,
    CallNotRated: Unpriced,
    CallFlagged: _notified_flag,
}
"""How the reason of a call's notification is read."""


def _read(document: Mapping[str, Any], name: str, read: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - what the reader returns
    if name not in document:
        raise Refused(name, "is missing in the stored notification")
    try:
        return read(document[name])
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise Refused(name, f"cannot be read in the stored notification: {error}") from error
