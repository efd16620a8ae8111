"""Notify an organization once of what is found again whenever somebody looks for it.

The transaction that notifies records that it did: a run that is repeated sends nothing again.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.application.transact import commit
from perminute.domain.credit.transaction import (
    AlreadyExists,
    EventIdentity,
    ProcessedEvent,
    Transaction,
)
from perminute.domain.notifications.notifications import notification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.notifications.notifications import NotificationBody
    from perminute.ports.stores import CreditStore


def notify_once(  # noqa: PLR0913 - where, of what, when, and how long it is tried
    credit: CreditStore,
    key: EventIdentity,
    body_of: Callable[[Account], NotificationBody],
    *,
    found: Mapping[str, object],
    at: datetime,
    retry: RetryPolicy,
    deadline: Deadline = NEVER,
) -> bool:
    """Notify, unless it was done under this key; return whether it was done now.

    `found` is recorded with the key. Raises `Contended` if others changed the account during every
    attempt.
    """
    if credit.processed_event(key) is not None:
        return False
    done = ProcessedEvent(key, json.dumps(found))
    try:
        retry.call(partial(_commit, credit, done, body_of, at), key.organization_id, deadline)
    except AlreadyExists:
        return False
    return True


def _commit(
    credit: CreditStore,
    done: ProcessedEvent,
    body_of: Callable[[Account], NotificationBody],
    at: datetime,
) -> None:
    organization_id = done.key.organization_id
    account = credit.account(organization_id)
    sent = notification(body_of(account), organization_id=organization_id, at=at, cause=done.key.id)
    transaction = Transaction(
        before=account,
        after=account._replace(version=account.version + 1),
        notifications=(sent,),
        processed_events=(done,),
    )
    commit(credit, transaction)
