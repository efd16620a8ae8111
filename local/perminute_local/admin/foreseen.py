"""What an event would change, as a confirmation shows it."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One thing that is looked at, as it is and as it would be; None where there is nothing."""

    subject: str
    name: str
    before: str | None
    after: str | None


class Foreseen(NamedTuple):
    """What one event would change, and what an admin should know before it is sent.

    `recorded`: an event of the same identity and content was processed before. It changes nothing.
    """

    rows: tuple[Row, ...] = ()
    warnings: tuple[str, ...] = ()
    recorded: bool = False


ALREADY_RECORDED = Foreseen(recorded=True)
