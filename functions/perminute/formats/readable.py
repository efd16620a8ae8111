"""What texts for people are made of: who is meant, instants, and amounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.values.money import MICROS_PER_UNIT, format_micros

if TYPE_CHECKING:
    from datetime import datetime


class Text(NamedTuple):
    """What happened, in few words, and sentences about it."""

    subject: str
    body: str


class Recipient(NamedTuple):
    """The organization whose admins read a text; its id, and what it is called, or the id again."""

    id: str
    name: str

    @property
    def in_full(self) -> str:
        """The name, and the id by which the organization is found; said once in each text."""
        return self.name if self.name == self.id else f"{self.name} ({self.id})"


def day(at: datetime) -> str:
    """Write the UTC day of an instant."""
    return f"{at:%Y-%m-%d}"


def hour(at: datetime) -> str:
    """Write the time of an instant, without its day."""
    return f"{at:%H:%M} UTC"


def minute(at: datetime) -> str:
    """Write an instant to the minute."""
    return f"{at:%Y-%m-%d at %H:%M} UTC"


def money(micros: int, currency: str | None) -> str:
    """Write an amount as people do: with two decimals at least, if it has any."""
    amount = format_micros(micros)
    if micros % MICROS_PER_UNIT and micros % (MICROS_PER_UNIT // 10) == 0:
        amount += "0"
    return f"{amount} {currency}" if currency else amount
