"""Events as the options of a command state them, checked by the readers of the functions."""

from __future__ import annotations

import copy
import json
import re
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.credit.transaction import EventIdentity, IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.values.identifiers import read_id
from perminute.domain.values.times import format_instant
from perminute.events.billing import BILLING, AutoRechargeDetail, credit_event
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, check_within_horizon, licensing_event
from perminute_local.cli.admin import CLEARABLE
from perminute_local.user_input import read_text
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

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
    """An event to be sent, before the records of the stack are read."""

    source: str
    detail_type: str
    organization_id: str
    identity_field: str
    identity: str
    # The identity was created for this draft, so nothing is recorded under it.
    is_new: bool = False
    # By field of the detail, within an object by both names (`autoRecharge.enabled`); None clears.
    stated: Mapping[str, Any]
    # For fields that are not stated, unless an event of the same identity is recorded.
    defaults: Mapping[str, Any] = field(default_factory=dict)
    # Where a field was stated, if not by its option.
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def event_identity(self) -> EventIdentity:
        """Return the identity of its processed event; raise `WrongCall` if it is no id."""
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


_CHANGES = uuid.UUID("0f6e0c4e-1d0b-5a3c-9a53-7d1c86f0a2b4")
"""The namespace of ids made of a change's and a user's: any constant would do, but it must never
change."""

_SEPARATORS = re.compile(r"[,;\t]")
"""What separates the cells of a table, which is read by nobody here."""

_NOTHING_STATED = "nothing is to be changed; name what is, by one of the options"


class User(NamedTuple):
    """A user, and where the user was named: `--user`, or a line of a file."""

    id: str
    place: str


class Statement(NamedTuple):
    """What a command says, and the options with which it says the same once more."""

    drafts: list[Draft]
    again: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A decision about an organization, and the id under which it counts once however often sent.

    It is effective when it was decided, and decided `now`, unless something else is said.
    """

    organization_id: str
    now: datetime
    change_id: str | None = None
    issued_at: datetime | None = None
    effective_at: datetime | None = None
    new_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def configure(self, fields: Mapping[str, Any], cleared: Sequence[str]) -> Statement:
        """Change settings of the credit, and clear others by the names of their options."""
        stated = _stated(fields)
        paths = {option: CLEARABLE[option] for option in cleared}
        for option, path in paths.items():
            if any(f"{name}.".startswith(f"{path}.") for name in stated):
                msg = f"--clear {option}: is stated as well; leave out one of them"
                raise WrongCall(msg)
        if not (stated or paths):
            raise WrongCall(_NOTHING_STATED)
        changes = {**dict.fromkeys(paths.values()), **stated}
        return self._of([self._draft(BILLING_SOURCE, CREDITS_CONFIGURED, self._id, changes)])

    def of_users(
        self, detail_type: str, users: Sequence[User], fields: Mapping[str, Any]
    ) -> Statement:
        """State the same about each of some users, by an event for each."""
        if not _stated(fields):
            raise WrongCall(_NOTHING_STATED)
        several = len(users) > 1
        drafts = []
        for user in users:
            identity = _identity_of(self._id, user) if several else self._id
            stated = {"userId": user.id, **_stated(fields)}
            draft = self._draft(LICENSING_SOURCE, detail_type, identity, stated)
            drafts.append(replace(draft, places={"userId": user.place}))
        return self._of(drafts)

    def of_organization(self, detail_type: str, fields: Mapping[str, Any]) -> Statement:
        """State something about the organization."""
        stated = _stated(fields)
        if not stated:
            raise WrongCall(_NOTHING_STATED)
        return self._of([self._draft(LICENSING_SOURCE, detail_type, self._id, stated)])

    @property
    def _id(self) -> str:
        return self.change_id or self.new_id

    @property
    def _decided_at(self) -> datetime:
        return self.issued_at or self.now

    def _draft(
        self, source: str, detail_type: str, identity: str, changes: Mapping[str, Any]
    ) -> Draft:
        given = {"issuedAt": self.issued_at, "effectiveAt": self.effective_at}
        times = ("issuedAt", "effectiveAt") if source == LICENSING_SOURCE else ("issuedAt",)
        return Draft(
            source=source,
            detail_type=detail_type,
            organization_id=self.organization_id,
            identity_field="changeId",
            identity=identity,
            is_new=self.change_id is None,
            stated={
                **{name: format_instant(at) for name, at in given.items() if at is not None},
                **changes,
            },
            defaults=dict.fromkeys(times, format_instant(self._decided_at)),
        )

    def _of(self, drafts: list[Draft]) -> Statement:
        decided_at = format_instant(self._decided_at)
        return Statement(drafts, f"--change-id {self._id} --issued-at {decided_at}")


def purchase(
    organization_id: str, purchase_id: str | None, fields: Mapping[str, Any], *, now: datetime
) -> Statement:
    """Buy credit; `purchasedAt` is now unless it is stated."""
    identity, at = purchase_id or str(uuid.uuid4()), format_instant(now)
    draft = Draft(
        source=BILLING_SOURCE,
        detail_type="Credit Purchased",
        organization_id=organization_id,
        identity_field="purchaseId",
        identity=identity,
        is_new=purchase_id is None,
        stated=_stated(fields),
        defaults={"purchasedAt": at},
    )
    when = fields.get("purchasedAt") or at
    return Statement([draft], f"--purchase-id {identity} --purchased-at {when}")


def adjustment(
    organization_id: str, adjustment_id: str | None, fields: Mapping[str, Any]
) -> Statement:
    """Correct the balance, or take a purchase back."""
    identity = adjustment_id or str(uuid.uuid4())
    draft = Draft(
        source=BILLING_SOURCE,
        detail_type="Credit Adjusted",
        organization_id=organization_id,
        identity_field="adjustmentId",
        identity=identity,
        is_new=adjustment_id is None,
        stated=_stated(fields),
    )
    return Statement([draft], f"--adjustment-id {identity}")


def users_named(ids: Sequence[str], file: Path | None) -> list[User]:
    """Return the users that are named by `--user` and, one a line, in a file: each of them once.

    Empty lines and those that begin with # are skipped. Raises `WrongCall` if nobody is named, or
    if the file is a table.
    """
    named = [User(user_id, "--user") for user_id in ids]
    if file is not None:
        named += _users_in(file)
    if not named:
        msg = "name a user by --user ID, or several, one a line, by --users FILE"
        raise WrongCall(msg)
    users: dict[str, User] = {}
    for user in named:
        try:
            users.setdefault(read_id(user.id), user)
        except ValueError as error:
            msg = f"{user.place}: {error}"
            raise WrongCall(msg) from error
    return list(users.values())


def _users_in(file: Path) -> Iterator[User]:
    for number, line in enumerate(read_text(file).splitlines(), 1):
        user_id, place = line.strip(), f"{file}:{number}"
        if not user_id or user_id.startswith("#"):
            continue
        if found := _SEPARATORS.search(user_id):
            mark = "a tab" if found[0] == "\t" else f"`{found[0]}`"
            msg = f"{place}: holds {mark}; write one id on each line, and nothing else"
            raise WrongCall(msg)
        yield User(user_id, place)


def _identity_of(change_id: str, user: User) -> str:
    # The same whenever the command is repeated.
    return str(uuid.uuid5(_CHANGES, json.dumps([change_id, read_id(user.id)])))


def _stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
