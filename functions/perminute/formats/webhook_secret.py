"""The secret by which webhooks are verified: a document of JSON (docs/webhooks.md).

::

    {"twilio": {"AC…": ["auth token", "an older one"]},
     "freeswitch": {"user": ["password"]},
     "keys": {"name": ["key"]}}

A text in place of a list is a list of one. Messages name a place in it, and never a value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    Values = Mapping[str, tuple[str, ...]]

# A name is shown in messages; a longer one is none that anybody gave on purpose.
_MAX_SHOWN = 40


class WebhookSecret(NamedTuple):
    """What is accepted, all values of a name alike: an older one serves until all have the new."""

    twilio: Values  # auth tokens, by AccountSid
    freeswitch: Values  # passwords, by user
    keys: Values  # bearer keys, by a name that only people read

    def __repr__(self) -> str:
        """Show no value, wherever it is shown."""
        return f"WebhookSecret({', '.join(self._fields)})"


def read_webhook_secret(text: str) -> WebhookSecret:
    """Read the secret. Raises `ValueError`, which says where it is faulty and shows no value."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # Without its cause, which contains the document.
        msg = "must be JSON"
        raise ValueError(msg) from None
    if not isinstance(document, dict):
        msg = "must be a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - a fault of the secret, not of the code
    known = WebhookSecret._fields
    if unknown := [name for name in document if name not in known]:
        msg = f"{_shown(unknown[0])}: must be {', '.join(known[:-1])} or {known[-1]}"
        raise ValueError(msg)
    return WebhookSecret(**{name: _values(name, document.get(name, {})) for name in known})


def _values(place: str, content: object) -> Values:
    if not isinstance(content, dict):
        msg = f"{place}: must be an object of names, each with a text or a list of texts"
        raise ValueError(msg)  # noqa: TRY004 - as above
    return {name: _texts(f"{place}.{_shown(name)}", value) for name, value in content.items()}


def _texts(place: str, value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    texts = [text for text in listed if isinstance(text, str) and text]
    if not texts or len(texts) < len(listed):
        # Whoever sends nothing would be let in by an empty one.
        msg = f"{place}: must be a text or a list of texts, none of them empty"
        raise ValueError(msg)
    if any(text != text.strip() or not text.isprintable() for text in texts):
        msg = f"{place}: has a space or a line break before or after it, or a control character"
        raise ValueError(msg)
    return tuple(texts)


def _shown(name: str) -> str:
    return one_line(name, at_most=_MAX_SHOWN)
