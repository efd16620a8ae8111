"""Notifications as they go out (CONTRACT §5): names in camelCase, money as decimal strings."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from perminute.domain.errors import Refused
from perminute.domain.money import format_micros
from perminute.domain.notification_texts import text_of
from perminute.domain.times import format_instant
from perminute.ports import NO_CAUSES, Announcement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.domain.notifications import Notification
    from perminute.ports import Causes

_MICROS = "_micros"

Document = dict[str, Any]


def document_of(notification: Notification, causes: Causes = NO_CAUSES) -> Document:
    """Write a notification with all that it carries, and the text for people beside it.

    One of a single call names the event that reported the call, and any other one the last event of
    its posting.
    """
    text = text_of(notification)
    correlation_id = causes.of(getattr(notification.news, "call_id", None))
    carried = {
        _camel(field.name): _plain(field.name, getattr(notification.news, field.name))
        for field in fields(notification.news)
    }
    return {
        "id": notification.id,
        "type": type(notification.news).__name__,
        "organizationId": notification.organization_id,
        "at": format_instant(notification.at),
        **({"correlationId": correlation_id} if correlation_id else {}),
        **{name: value for name, value in carried.items() if value is not None},
        "subject": text.subject,
        "text": text.body,
    }


def announcement_of(document: Document, caused_by: Sequence[str] = ()) -> Announcement:
    """Read a stored document as what is to be published; `Refused` names what it lacks."""
    try:
        return Announcement(
            id=document["id"],
            type=document["type"],
            organization_id=document["organizationId"],
            subject=document["subject"],
            text=document["text"],
            document=json.dumps(document),
            correlation_id=document.get("correlationId", ""),
            caused_by=tuple(caused_by),
            call_id=document.get("callId"),
        )
    except KeyError as error:
        raise Refused(str(error.args[0]), "is missing in the stored notification") from error


def _camel(name: str) -> str:
    first, *rest = name.removesuffix(_MICROS).split("_")
    return first + "".join(word.title() for word in rest)


def _plain(name: str, value: object) -> object:
    if isinstance(value, int) and name.endswith(_MICROS):
        return format_micros(value)
    return format_instant(value) if isinstance(value, datetime) else value
