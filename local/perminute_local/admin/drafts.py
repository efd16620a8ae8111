"""Events as the options of a command state them, checked by the readers of the functions."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perminute.domain.credit.transaction import EventIdentity, IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.values.identifiers import read_id
from perminute.domain.values.times import format_instant
from perminute.events.billing import (
    BILLING,
    AutoRechargeDetail,
    credit_event,
)
from perminute.events.event import read_event
from perminute.events.licensing import (
    LICENSING,
    check_within_horizon,
    licensing_event,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from perminute.application.apply_licensing import LicensingEvent
    from perminute.application.book_credit import CreditEvent

BILLING_SOURCE = "perminute.billing"
LICENSING_SOURCE = "perminute.licensing"
CREDITS_CONFIGURED = "Credits Configured"

_IDENTITIES = {
    "changeId": IdentityKind.CHANGE,
    "purchaseId": IdentityKind.PURCHASE,
    "adjustmentId": IdentityKind.ADJUSTMENT,
}
_OPTIONS = {
    "autoRecharge.enabled": "--auto-recharge",
    "enabled": "--auto-recharge",
    "lowBalanceThresholds": "--low-balance-threshold",
    "organizationId": "--organization",
    "userId": "--user",
}
"""Options that are not called what their field is called."""

_MESSAGES = (AutoRechargeDetail, *BILLING.details.values(), *LICENSING.details.values())
_FIELDS = {name for message in _MESSAGES for name in message.__struct_encode_fields__}
_CAMEL_CASE = re.compile(r"\b[a-z]+(?:[A-Z][a-z]+)+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be stated, before the stack is asked what is recorded.

    `stated` are fields of the detail by name, and those of an object within it by both names
    (`autoRecharge.enabled`); None clears a field. `defaults` count for what is not stated, unless
    an event of the same identity is recorded: then that one's fields do. `places` says where a
    field was stated, if not by its option. `is_new`: the identity was made for this draft, so
    nothing can be recorded under it.
    """

    source: str
    detail_type: str
    organization_id: str
    identity_field: str
    identity: str
    is_new: bool = False
    stated: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def receipt_key(self) -> EventIdentity:
        """Under which a processed event of this identity is recorded; raises `WrongCall`."""
        try:
            identity = read_id(self.identity)
        except ValueError as error:
            msg = f"{self._place_of(self.identity_field)}: {error}"
            raise WrongCall(msg) from error
        return EventIdentity(_IDENTITIES[self.identity_field], self.organization_id, identity)

    def event(self, at: datetime, base: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the event with what is stated upon `base`, by default upon the defaults."""
        detail = {
            "schemaVersion": "1",
            "organizationId": self.organization_id,
            self.identity_field: self.identity,
            **(self.defaults if base is None else base),
        }
        return {
            "id": self.identity,
            "source": self.source,
            "detail-type": self.detail_type,
            "time": format_instant(at),
            "detail": _with_stated(detail, self.stated),
        }

    def read(
        self, event: Mapping[str, Any], at: datetime, horizon: timedelta | None
    ) -> CreditEvent | LicensingEvent:
        """Read the event as the functions do; `WrongCall` names the option that is wrong.

        Without a `horizon` it is not known how far back licensing events may take effect.
        """
        body = json.dumps(event)
        try:
            if self.source == BILLING_SOURCE:
                return credit_event(read_event(body, BILLING), at)
            parsed = read_event(body, LICENSING)
            if horizon is not None:
                check_within_horizon(parsed, horizon)
            return licensing_event(parsed, at)
        except Refused as error:
            raise WrongCall(self.in_words_of_options(error)) from error

    def in_words_of_options(self, refusal: Refused) -> str:
        """Return a refusal with the options of the command in place of the event's fields."""
        message = _CAMEL_CASE.sub(lambda word: self._renamed(word[0]), refusal.message)
        return f"{self._place_of(refusal.field)}: {message}"

    def _renamed(self, word: str) -> str:
        return self._place_of(word) if word in _FIELDS else word

    def _place_of(self, path: str) -> str:
        # A threshold is named by its number in the list: lowBalanceThresholds.0.
        name = re.sub(r"\.[0-9]+$", "", path)
        option = f"--{_kebab(name.rpartition('.')[2])}"
        return self.places.get(name) or _OPTIONS.get(name) or option


def _kebab(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", name)


def _with_stated(detail: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = copy.deepcopy(dict(detail))
    for path, value in stated.items():
        *objects, last = path.split(".")
        within = merged
        for name in objects:
            within = within.setdefault(name, {}) if value is not None else within.get(name, {})
        if value is None:
            within.pop(last, None)
        else:
            within[last] = value
    return merged
