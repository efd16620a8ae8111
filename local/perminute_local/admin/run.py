"""Writes the events of a command, or shows what they would change, asks, and sends them."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.application.apply_licensing import LicensingEvent
from perminute.domain.errors import Refused
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import RERATING_HORIZON
from perminute.domain.values.printable import one_line
from perminute_local.admin.drafts import CREDITS_CONFIGURED
from perminute_local.admin.foresee import (
    ReadOnlyCreditStore,
    foresee_credit,
    foresee_licensing,
    read_licensing,
    settings_in_force,
)
from perminute_local.deployment import calling_aws, deployed_tables, parameter
from perminute_local.sending import NotSent, Sent, name_of, sender_to
from perminute_local.terminal import remark, write_json, write_line
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.application.book_credit import CreditEvent
    from perminute.domain.credit.transaction import ProcessedEvent
    from perminute.ports.stores import LicensingStore
    from perminute_local.admin.drafts import Draft
    from perminute_local.admin.foresee import ChangedValue, EventEffect
    from perminute_local.sending import Event, Outcome


MAX_ROWS = 20
"""More rows are counted instead: what is to be compared must fit a screen."""

NOTHING = "-"


def show(title: str, rows: Sequence[ChangedValue], warnings: Sequence[str]) -> None:
    """Write what would change, and what to be careful about, to standard error."""
    shown = rows if len(rows) <= MAX_ROWS else list(_counted(rows))
    remark(title)
    for line in _table(shown[:MAX_ROWS]):
        remark(line)
    if len(shown) > MAX_ROWS:
        remark(f"  and {len(shown) - MAX_ROWS} more changes, all of them with --json")
    for warning in warnings[:MAX_ROWS]:
        remark(f"warning: {warning}")
    if len(warnings) > MAX_ROWS:
        remark(f"warning: and {len(warnings) - MAX_ROWS} more, all of them with --json")


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask on the terminal unless `yes`; raises `WrongCall` if there is no terminal to ask on."""
    if yes:
        return True
    if not sys.stdin.isatty():
        msg = "nothing was sent: there is no terminal to ask on; add --yes to send without asking"
        raise WrongCall(msg)
    sys.stderr.write(f"{one_line(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _counted(rows: Sequence[ChangedValue]) -> Iterator[ChangedValue]:
    alike: defaultdict[tuple[str | None, ...], list[ChangedValue]] = defaultdict(list)
    for row in rows:
        alike[row[1:]].append(row)
    for first, *others in alike.values():
        yield first._replace(subject=f"{1 + len(others)} users") if others else first


def _table(rows: Sequence[ChangedValue]) -> Iterator[str]:
    if not rows:
        yield "  nothing that is recorded changes"
    # As wide as it is written, or the columns would not stand below each other.
    cells = [[one_line(cell or NOTHING) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        subject, name, before, after = map(str.ljust, row, widths)
        yield f"  {subject}  {name}  {before} → {after}".rstrip()


class RefusedByStack(Exception):  # noqa: N818 - an answer, not a malfunction
    """The functions would refuse the event as things are; the message names the option."""


class Planned(NamedTuple):
    """An event as it is to be sent, and what it would change."""

    event: dict[str, Any]
    foreseen: EventEffect


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
        changes = [
            event.content.change for event in read if isinstance(event.content, LicensingEvent)
        ]
        users = [change.user_id for change in changes if change.user_id is not None]
        licensing = Licensing()
        if changes:
            licensing = read_licensing(self.licensing, changes[0].organization_id, users)
        return [Planned(one.event, self._foresee(one, licensing, now)) for one in read]

    def _foresee(self, read: _Read, licensing: Licensing, now: datetime) -> EventEffect:
        content = read.content
        try:
            if isinstance(content, LicensingEvent):
                return foresee_licensing(content, licensing, read.recorded, now=now)
            return foresee_credit(self.credit, content)
        except Refused as error:
            raise RefusedByStack(read.draft.in_words_of_options(error)) from error

    def _read(self, draft: Draft, now: datetime) -> _Read:
        recorded = None if draft.is_new else self.credit.processed_event(draft.event_identity)
        event = draft.event(now, self._base(draft, recorded))
        return _Read(draft, event, draft.read(event, now, self.horizon), recorded)

    def _base(self, draft: Draft, recorded: ProcessedEvent | None) -> Mapping[str, Any]:
        # A command that is repeated under its identity states the same as before, and not what is
        # the default by now. `Credits Configured` replaces all settings, so it starts with those
        # that are in force.
        if recorded is not None:
            content: dict[str, Any] = json.loads(recorded.content)
            if content.pop("detail-type") == draft.detail_type:
                return content
        if draft.detail_type == CREDITS_CONFIGURED:
            in_force = settings_in_force(self.credit.account(draft.organization_id))
            return {**draft.defaults, **in_force}
        return draft.defaults


_REPLACES_ALL = (
    "Credits Configured replaces all settings: what is not named here is cleared, or back to its "
    "default. With --stack the settings in force stay as they are"
)
_DECLINED = NotSent("the answer was no")


class SendOptions(NamedTuple):
    """Where the events of a command go, and how."""

    stack: str | None  # without one the events are written
    again: str  # the options with which the command states the same again
    yes: bool = False
    as_json: bool = False


class _Result(NamedTuple):
    planned: Planned
    outcome: Outcome | None


def run_drafts(drafts: Sequence[Draft], options: SendOptions, *, now: datetime) -> int:
    """Write or send the events of drafts of one organization.

    Returns 1 if the stack would refuse one, if the answer is no, or if not all were sent. Raises
    `WrongCall` before anything is sent if a value is impossible or the stack cannot be read.
    """
    if options.stack is None:
        return _write(drafts, now, as_json=options.as_json)
    try:
        with calling_aws(options.stack):
            planned = DeployedStack.named(options.stack).plan(drafts, now)
            results = _send(planned, options.stack, yes=options.yes)
    except RefusedByStack as refusal:
        msg = f"{options.stack} would refuse this, so nothing was sent: {refusal}"
        remark(f"perminute: {msg}")
        if options.as_json:
            write_json({"error": "refused", "message": msg})
        return 1
    if options.as_json:
        write_json(_document(results))
    else:
        _report(results)
    _remark_on(results, options.stack, options.again)
    return 1 if any(isinstance(result.outcome, NotSent) for result in results) else 0


def _write(drafts: Sequence[Draft], now: datetime, *, as_json: bool) -> int:
    events = [draft.event(now) for draft in drafts]
    for draft, event in zip(drafts, events, strict=True):
        # How far back licensing events may take effect is the stack's to say.
        draft.read(event, now, None)
    if any(draft.detail_type == CREDITS_CONFIGURED for draft in drafts):
        remark(_REPLACES_ALL)
    if as_json:
        write_json({"events": events})
    else:
        sys.stdout.writelines(json.dumps(event) + "\n" for event in events)
    return 0


def _send(planned: Sequence[Planned], stack: str, *, yes: bool) -> list[_Result]:
    send = sender_to(stack)
    new = [plan for plan in planned if not plan.foreseen.recorded]
    outcomes: list[Outcome] = []
    if new:
        rows = [row for plan in new for row in plan.foreseen.rows]
        warnings = [text for plan in new for text in plan.foreseen.warnings]
        show(f"{_title([plan.event for plan in new])}, on {stack}:", rows, warnings)
        agreed = confirmed(f"Send to {stack}?", yes=yes)
        outcomes = send([plan.event for plan in new]) if agreed else [_DECLINED] * len(new)
    next_outcome = iter(outcomes)
    return [
        _Result(plan, None if plan.foreseen.recorded else next(next_outcome)) for plan in planned
    ]


def _title(events: Sequence[Event]) -> str:
    organization_id = events[0]["detail"]["organizationId"]
    if len(events) == 1:
        return f"{name_of(events[0])} of {organization_id}"
    return f"{len(events)} events {events[0]['detail-type']} of {organization_id}"


def _report(results: Sequence[_Result]) -> None:
    for planned, outcome in results:
        name = name_of(planned.event)
        match outcome:
            case Sent(event_id):
                write_line(f"sent: {name} (event id {event_id})")
            case NotSent(reason):
                remark(f"not sent: {name}: {reason}")
            case None:
                write_line(f"recorded already, changes nothing: {name}")


def _remark_on(results: Sequence[_Result], stack: str, again: str) -> None:
    if any(isinstance(result.outcome, Sent) for result in results):
        remark(
            "in force within seconds; what the stack refuses all the same waits with its reason: "
            f"perminute dlq list --stack {stack}"
        )
    if any(result.outcome is not None and result.outcome is not _DECLINED for result in results):
        remark(f"the same command with {again} counts as one with this, however often it is run")


def _document(results: Sequence[_Result]) -> dict[str, Any]:
    foreseen = [result.planned.foreseen for result in results]
    return {
        "events": [_event_document(result) for result in results],
        "changes": [row._asdict() for foresight in foreseen for row in foresight.rows],
        "warnings": [text for foresight in foreseen for text in foresight.warnings],
    }


def _event_document(result: _Result) -> dict[str, Any]:
    event = result.planned.event
    match result.outcome:
        case Sent(event_id):
            status = {"status": "sent", "eventId": event_id}
        case NotSent(reason):
            status = {"status": "notSent", "reason": reason}
        case None:
            status = {"status": "alreadyRecorded"}
    return {**status, **{part: event[part] for part in ("source", "detail-type", "detail")}}
