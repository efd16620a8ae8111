"""Write statements into files: of all organizations after a month, and of one on demand.

Doing it twice is harmless: the same statement replaces the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.application.reporting.statement import StatementQuestion, read_statement
from perminute.domain.errors import Unavailable
from perminute.domain.pools.pools import Month
from perminute.domain.reporting.statement import Basis
from perminute.ports.statements import StatementKey, StatementLink

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.reporting.statement import Statement
    from perminute.ports.messaging import RunOrganization
    from perminute.ports.postings import Postings
    from perminute.ports.statements import StatementLibrary, StatementWriter

FORMS = ("pdf", "html", "csv", "json")
"""The forms of a month's statement, all of one state of the account."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RenderedStatement:
    """What was written of an organization's month."""

    organization_id: str
    month: Month
    files: int = 0  # none: nothing moved the credit, and no call ended
    unavailable: str | None = None  # why it could not be written
    goes_on: bool = False

    @property
    def failed(self) -> Unavailable | None:
        """Why it could not be written; the message is delivered again."""
        return None if self.unavailable is None else Unavailable(self.unavailable)


@dataclass(frozen=True, slots=True)
class RenderStatements:
    """The use case with what it needs from outside."""

    postings: Postings
    write: StatementWriter
    library: StatementLibrary

    def __call__(self, work: RunOrganization, deadline: Deadline) -> RenderedStatement:
        """Write the statement of the month before a run, as it is stated, in all forms."""
        month = Month.of(Month.of(work.at).start - _DAY)
        key = StatementKey(work.organization_id, month, Basis.STATED)
        try:
            account, statement = self._read(key, deadline)
            files = self._files(key, account, statement, work.at)
        except Unavailable as error:
            return RenderedStatement(key.organization_id, month, unavailable=str(error))
        return RenderedStatement(key.organization_id, month, files)

    def on_demand(self, key: StatementKey, at: datetime, deadline: Deadline) -> StatementLink:
        """Write a statement as PDF, and return where it is. Raises `Unavailable`."""
        account, statement = self._read(key, deadline)
        self._keep(key, account, statement, at, ("pdf",))
        location, expires_at = self.library.link(key, "pdf")
        return StatementLink(location, expires_at, account.version)

    def _read(self, key: StatementKey, deadline: Deadline) -> tuple[Account, Statement]:
        question = StatementQuestion(*key, with_details=True)
        return read_statement(self.postings, question, deadline)

    def _files(
        self, key: StatementKey, account: Account, statement: Statement, at: datetime
    ) -> int:
        if not statement.entries and not statement.usage.calls:
            return 0
        return self._keep(key, account, statement, at, FORMS)

    def _keep(
        self,
        key: StatementKey,
        account: Account,
        statement: Statement,
        at: datetime,
        forms: tuple[str, ...],
    ) -> int:
        files = self.write(account, statement, at, forms)
        for file in files:
            self.library.keep(key, file)
        return len(files)
