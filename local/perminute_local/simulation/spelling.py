"""What different systems write for the same: ids in another case, and callers without a number.

And what they write into fields that nobody reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

_WITHHELD = (None, "", "anonymous", "sip:anonymous@anonymous.invalid", "104", "+1206555*****")
_NO_TEXTS = (False, 104, 493023125042.0, ["+493023125042"], {"display": "anonymous"}, "\ud83d")
"""What is no text for a JSON reader, or no text at all: half of a surrogate pair."""


def spelled(drawn: Random, identifier: str) -> str:
    """Write an id in some case; one without `@` stays as it is, for case counts in it."""
    if "@" not in identifier:
        return identifier
    return drawn.choice((identifier, identifier.upper(), identifier.title()))


def withheld(drawn: Random) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Write what systems write for a number that they do not show."""
    return drawn.choice((*_WITHHELD, *_NO_TEXTS))


def ignored(drawn: Random) -> dict[str, Any]:
    """Write fields that no reader knows, and that hold anything."""
    return {"callerName": drawn.choice(_NO_TEXTS)}
