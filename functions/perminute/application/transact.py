"""Change an account: read it, decide, commit, and decide again if it has changed meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from perminute.application.correlation import causes
from perminute.application.further_lots import further_lots
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.domain.credit.booking import due_changes, move_lots_up
from perminute.domain.credit.transaction import NO_CAUSES, Transaction
from perminute.domain.errors import FurtherLotsNeeded

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.ports.stores import CreditStore

T = TypeVar("T")
Decided = TypeVar("Decided", bound=Transaction | None)


def transact(  # noqa: PLR0913 - the parts of a change
    store: CreditStore,
    organization_id: str,
    decide: Callable[[Account], Decided],
    retry: RetryPolicy,
    deadline: Deadline = NEVER,
    *,
    at: datetime | Callable[[Account], datetime],
    heard_at: datetime | None = None,
    known: Account | None = None,
    answered: str | None = None,
) -> Decided:
    """Commit the transaction that `decide` returns for the account, and return it.

    None if `decide` returns None: there is nothing to do.

    `decide` is called with the account as it is after everything that was due by `at`. If others
    change the account meanwhile, or anything else that the commit checks, it is called again: it
    must itself read all that it depends on. The instant `at` may depend on the account. `heard_at`
    is when the event was received, and `answered` the recharge of which it is the outcome. The
    first attempt uses the account `known`, if there is one, instead of reading it.

    Raises `Contended` if others changed the account during every attempt, `AlreadyExists` if the
    transaction would write records that exist already, and whatever `decide` raises.
    """
    accounts = iter(() if known is None else (known,))

    def attempt() -> Decided:
        account = next(accounts, None) or store.account(organization_id)
        until = at(account) if callable(at) else at
        account = apply_due_changes(store, account, until, heard_at, answered)
        transaction = decide_with_enough_lots(store, account, decide)
        if transaction is not None:
            commit(store, transaction)
        return transaction

    return retry.call(attempt, organization_id, deadline)


def commit(store: CreditStore, transaction: Transaction) -> None:
    """Write a transaction. Raises `AccountChanged` and `AlreadyExists`."""
    # If it does not name its causes, they are those of what is processed now.
    if transaction.causes is NO_CAUSES:
        transaction = transaction._replace(causes=causes())
    store.commit(transaction)


def apply_due_changes(
    store: CreditStore,
    account: Account,
    at: datetime,
    heard_at: datetime | None = None,
    answered: str | None = None,
) -> Account:
    """Commit what is due by `at`, and return the account after it (docs/domain.md §5.5)."""
    # As time passes, lots expire, warnings fall due and a recharge becomes possible. Raises
    # `Contended`.
    while account.is_due(at, heard_at, answered=answered):
        further = further_lots(store, account) if account.further_due_by(at) else None
        transaction = due_changes(
            account, at, heard_at=heard_at, further=further, answered=answered
        )
        if transaction.after is account:
            msg = f"the account of {account.organization_id} is due, but nothing falls due by {at}"
            raise RuntimeError(msg)
        commit(store, transaction)
        account = transaction.after
    return account


def decide_with_enough_lots(
    store: CreditStore, account: Account, decide: Callable[[Account], T]
) -> T:
    """Call `decide`; if it needs further lots, move them into the account item and call it again.

    Raises `Contended`.
    """
    while True:
        try:
            return decide(account)
        except FurtherLotsNeeded as needed:
            further = further_lots(store, account)
            transaction = move_lots_up(account, further, needed.short_micros)
            if transaction.after is account:
                msg = f"{account.organization_id}: a draw is short, and there are no further lots"
                raise RuntimeError(msg) from needed
        commit(store, transaction)
        account = transaction.after
