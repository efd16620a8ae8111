"""Statements as files: what makes them, and where they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.pools.pools import Month
    from perminute.domain.reporting.statement import Basis, Statement


RENDER = "renderStatement"
"""The operation by which a function asks another one for a statement."""


class StatementFile(NamedTuple):
    """A statement in one form."""

    form: str  # the end of its name, such as `pdf`
    content_type: str
    content: bytes


class StatementKey(NamedTuple):
    """The key under which a statement is stored: made again, it replaces the one before."""

    organization_id: str
    month: Month
    basis: Basis


class StatementLink(NamedTuple):
    """Where a statement can be read, until when, and as of which version of the account it is."""

    location: str  # contains its own permission: never logged
    expires_at: datetime
    version: int


class StatementWriter(Protocol):
    """Writes a statement, which must have its details, in forms for people and programs."""

    def __call__(
        self, account: Account, statement: Statement, at: datetime, forms: Collection[str]
    ) -> list[StatementFile]:
        """Return the statement in these forms, as of the instant at which it was asked for."""


class StatementLibrary(Protocol):
    """Keeps statements. Raises `Unavailable`."""

    def keep(self, key: StatementKey, file: StatementFile) -> None:
        """Store a statement, in place of the one before."""

    def link(self, key: StatementKey, form: str) -> tuple[str, datetime]:
        """Return an address at which a stored statement can be read, and until when."""


class StatementRenderer(Protocol):
    """Makes a statement as PDF on demand."""

    def render(self, key: StatementKey) -> StatementLink:
        """Make it, and return where it is. Raises `Unavailable`."""
