"""Statements as files: where they are made and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.pools.pools import Month
    from perminute.domain.reporting.statement import Basis


class StatementLink(NamedTuple):
    """Where a statement is that was made, until when it can be read there, and as of when."""

    location: str  # contains its own permission: never logged
    expires_at: datetime
    version: int  # of the account


class StatementRenderer(Protocol):
    """Makes the PDF of a statement."""

    def render(self, organization_id: str, month: Month, basis: Basis) -> StatementLink:
        """Make a statement, and return where it is. Raises `Unavailable`."""
