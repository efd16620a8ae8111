"""Write statements into files: of all organizations after a month, and of one on demand.

Doing it twice is harmless: the same statement replaces the one before, and an organization is
notified of it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.application.notify_once import notify_once
from perminute.application.reporting.statement import StatementQuestion, read_statement
from perminute.domain.credit.transaction import EventIdentity, IdentityKind
from perminute.domain.errors import Unavailable
from perminute.domain.notifications.notifications import StatementReady
from perminute.domain.pools.pools import Month
from perminute.domain.reporting.statement import Basis, stated_at
from perminute.ports.statements import StatementKey, StatementLink

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.retry import Deadline, RetryPolicy
    from perminute.domain.credit.accounts import Account
    from perminute.domain.reporting.statement import Statement
    from perminute.ports.messaging import RunOrganization
    from perminute.ports.postings import Postings
    from perminute.ports.statements import StatementLibrary, StatementWriter
    from perminute.ports.stores import CreditStore

FORMS = ("pdf", "html", "csv", "json")
"""The forms of a month's statement, all of one state of the account."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RenderedStatement:
    """What was written of an organization's month."""

    organization_id: str
    month: Month
    files: int = 0  # none: nothing moved the credit, and no call ended
    is_notified: bool = False  # now, of the statement
    unavailable: str | None = None  # why it could not be written
    goes_on: bool = False

    @property
    def failed(self) -> Unavailable | None:
        """Why it could not be written; the message is delivered again."""
        return None if self.unavailable is None else Unavailable(self.unavailable)


@dataclass(frozen=True, slots=True)
class NotifyOfStatement:
    """Notifies an organization of a statement that was written: once of each month."""

    credit: CreditStore
    retry: RetryPolicy

    def __call__(
        self, account: Account, statement: Statement, at: datetime, deadline: Deadline
    ) -> bool:
        """Return whether it was done now. Raises `Unavailable`."""
        body = StatementReady(
            month=str(statement.month),
            charge_micros=statement.usage.charge_micros,
            closing_micros=statement.closing_micros,
            stated_at=stated_at(statement.month),
            currency=account.currency,
        )
        return notify_once(
            self.credit,
            EventIdentity(IdentityKind.STATEMENT_READY, account.organization_id, body.month),
            lambda _: body,
            found={"version": account.version},
            at=at,
            retry=self.retry,
            deadline=deadline,
        )


@dataclass(frozen=True, slots=True)
class RenderStatements:
    """The use case with what it needs from outside."""

    postings: Postings
    write: StatementWriter
    library: StatementLibrary
    notify: NotifyOfStatement | None = None  # None: nobody is notified

    def __call__(self, work: RunOrganization, deadline: Deadline) -> RenderedStatement:
        """Write the statement of the month before a run, as it is stated, and notify of it."""
        month = Month.of(Month.of(work.at).start - _DAY)
        key = StatementKey(work.organization_id, month, Basis.STATED)
        try:
            account, statement = self._read(key, deadline)
            files = self._files(key, account, statement, work.at)
            is_notified = (
                files > 0
                and self.notify is not None
                and self.notify(account, statement, work.at, deadline)
            )
        except Unavailable as error:
            return RenderedStatement(key.organization_id, month, unavailable=str(error))
        return RenderedStatement(key.organization_id, month, files, is_notified)

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
