"""The stack that events are sent to: what it has recorded, and what they would change there."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.application.apply_licensing import LicensingEvent
from perminute.domain.errors import Refused
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import RERATING_HORIZON
from perminute_local.admin.credit import ReadOnlyCreditStore, foresee_credit, settings_in_force
from perminute_local.admin.drafts import CREDITS_CONFIGURED
from perminute_local.admin.licensing import foresee_licensing, read_licensing
from perminute_local.deployment import deployed_tables, parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from perminute.application.book_credit import CreditEvent
    from perminute.domain.credit.transaction import ProcessedEvent
    from perminute.ports import LicensingStore
    from perminute_local.admin.drafts import Draft
    from perminute_local.admin.foreseen import Foreseen


class RefusedByStack(Exception):  # noqa: N818 - an answer, not a malfunction
    """The functions would refuse the event as things are; the message names the option."""


class Planned(NamedTuple):
    """An event as it is to be sent, and what it would change."""

    event: dict[str, Any]
    foreseen: Foreseen


class _Read(NamedTuple):
    draft: Draft
    event: dict[str, Any]
    content: CreditEvent | LicensingEvent
    recorded: ProcessedEvent | None


class DeployedStack(NamedTuple):
    """What is read of a stack; nothing is written to it."""

    credit: ReadOnlyCreditStore
    licensing: LicensingStore
    horizon: timedelta

    @classmethod
    def named(cls, name: str) -> DeployedStack:
        """Find a stack by its name; raises `WrongCall` if it is none of ours."""
        schema = Tables.bind(connect(), deployed_tables(name))
        days = parameter(name, "ReratingHorizonDays", str(RERATING_HORIZON.days))
        return cls(
            ReadOnlyCreditStore(schema), DynamoDBLicensingStore(schema), timedelta(days=int(days))
        )

    def plan(self, drafts: Sequence[Draft], now: datetime) -> list[Planned]:
        """Return the events of drafts of one organization, and what each would change.

        Raises `WrongCall` for an impossible value, `RefusedByStack`, and `Unavailable`.
        """
        read = [self._read(draft, now) for draft in drafts]
        changes = [one.content.change for one in read if isinstance(one.content, LicensingEvent)]
        users = [change.user_id for change in changes if change.user_id is not None]
        licensing = Licensing()
        if changes:
            licensing = read_licensing(self.licensing, changes[0].organization_id, users)
        return [Planned(one.event, self._foresee(one, licensing, now)) for one in read]

    def _foresee(self, read: _Read, licensing: Licensing, now: datetime) -> Foreseen:
        content = read.content
        try:
            if isinstance(content, LicensingEvent):
                return foresee_licensing(content, licensing, read.recorded, now=now)
            return foresee_credit(self.credit, content)
        except Refused as error:
            raise RefusedByStack(read.draft.in_words_of_options(error)) from error

    def _read(self, draft: Draft, now: datetime) -> _Read:
        recorded = None if draft.is_new else self.credit.processed_event(draft.receipt_key)
        event = draft.event(now, self._base(draft, recorded))
        return _Read(draft, event, draft.read(event, now, self.horizon), recorded)

    def _base(self, draft: Draft, recorded: ProcessedEvent | None) -> Mapping[str, Any]:
        """Return what counts of fields that are not stated.

        A command that is repeated under its identity says the same as before, and not what is the
        default by now. `Credits Configured` replaces all settings, so it begins with those that are
        in force.
        """
        if recorded is not None:
            content: dict[str, Any] = json.loads(recorded.content)
            if content.pop("detail-type") == draft.detail_type:
                return content
        if draft.detail_type == CREDITS_CONFIGURED:
            in_force = settings_in_force(self.credit.account(draft.organization_id))
            return {**draft.defaults, **in_force}
        return draft.defaults
