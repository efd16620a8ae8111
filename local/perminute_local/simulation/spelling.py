"""What different systems write for the same: ids in another case, and callers without a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_WITHHELD = (None, "", "anonymous", "sip:anonymous@anonymous.invalid", "104", "+1206555*****")


def spelled(drawn: Random, identifier: str) -> str:
    """Write an id in some case; one without `@` stays as it is, for case counts in it."""
    if "@" not in identifier:
        return identifier
    return drawn.choice((identifier, identifier.upper(), identifier.title()))


def withheld(drawn: Random) -> str | None:
    """Write what systems write for a number that they do not show."""
    return drawn.choice(_WITHHELD)
