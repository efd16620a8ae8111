"""Our calls, to be compared with an operator's records: from a file, or from a deployed stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from perminute.domain.comparison.record_comparison import OurCall
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import LegType
from perminute.domain.values.identifiers import canonical_id
from perminute.domain.values.money import read_micros
from perminute.domain.values.times import format_instant, parse_instant
from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, CallEnded, ended_call
from perminute.parsing import parse_json
from perminute_local.reports.pages import read_listing
from perminute_local.reports.source import Question
from perminute_local.user_input import read_text
from perminute_local.wrong_call import FaultyLines, LineFault, WrongFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from perminute.domain.comparison.record_comparison import TheirCall
    from perminute.domain.rating.calls import Call
    from perminute_local.reports.source import Reports

LONGEST_PERIOD = timedelta(days=92)
"""Of a report (docs/reports.md)."""


def calls_of_file(path: Path, *, by_rate_card: bool) -> list[OurCall]:
    """Read the calls of events, one a line, or of what `perminute replay --json` wrote.

    Of a call that is there twice the first one counts, as when it is charged. Raises `WrongFile`.
    """
    text = read_text(path)
    document = _document(text)
    if document is None:
        calls = _calls_of_lines(path, text)
    elif isinstance(document.get("calls"), list):
        calls = _calls_of_replay(path, document["calls"], by_rate_card=by_rate_card)
    else:
        calls = _calls_of_lines(path, "\n".join(map(json.dumps, document["events"])))
    first: dict[tuple[str, str], OurCall] = {}
    for call in calls:
        first.setdefault((call.organization_id, call.call_id), call)
    return list(first.values())


def _document(text: str) -> dict[str, Any] | None:
    # What a replay wrote, or `calls convert`; an event is a document, too, with a `detail`.
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    lists = isinstance(document, dict) and [document.get(name) for name in ("calls", "events")]
    return document if lists and any(isinstance(one, list) for one in lists) else None


def _calls_of_lines(path: Path, text: str) -> Iterator[OurCall]:
    faults: list[LineFault] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            yield from map(OurCall.of_call, _calls_of_event(line))
        except Refused as error:
            faults.append(LineFault(f"{path}:{number}", str(error)))
    if faults:
        raise FaultyLines(faults, "nothing was compared")


def _calls_of_event(line: str) -> Iterator[Call]:
    sent = parse_json(line, called="event")
    if not isinstance(sent, dict):
        raise Refused("event", "must be a JSON object, one event a line")
    source = sent.get("source")
    if "request" in sent or (isinstance(source, str) and source != TELEPHONY.name):
        # A folder of events also has those of licenses and credit.
        return
    event = read_event(json.dumps({"id": "none", **sent}), TELEPHONY)
    if isinstance(event.detail, CallEnded):
        yield ended_call(event).call
        return
    for detail in event.detail.calls:
        single = {**sent, "id": event.id, "detail-type": "Call Ended", "detail": detail}
        yield ended_call(read_event(json.dumps(single), TELEPHONY)).call


def _calls_of_replay(path: Path, calls: list[Any], *, by_rate_card: bool) -> Iterator[OurCall]:
    for number, call in enumerate(calls):
        try:
            yield OurCall(
                organization_id=call["organizationId"],
                call_id=canonical_id(call["callId"]),
                prefix=call["prefix"],
                billed_seconds=call["billedSeconds"],
                **_cost(call, by_rate_card=by_rate_card),
            )
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{path}: calls[{number}] is none of a replay's JSON: {error!r}"
            raise WrongFile(msg) from error


def _cost(call: dict[str, Any], *, by_rate_card: bool) -> dict[str, Any]:
    amount = call["retailCost" if by_rate_card else "charge"]
    return {
        "cost_micros": None if amount is None else read_micros(amount),
        "currency": call["currency"],
    }


class StackCalls:
    """The calls of a deployed stack, as its reports show them: masked numbers are masked here."""

    def __init__(self, reports: Reports, *, by_rate_card: bool) -> None:
        self._reports = reports
        self._by_rate_card = by_rate_card

    def of_days(
        self, organization_id: str, theirs: Iterable[TheirCall]
    ) -> dict[tuple[str, str], OurCall]:
        """Read the calls of the UTC days on which recorded calls ended; none of them is free."""
        ends = [call.ended_at for call in theirs]
        since, until = _midnight(min(ends)), _midnight(max(ends)) + timedelta(days=1)
        found: dict[tuple[str, str], OurCall] = {}
        while since < until:
            end = min(until, since + LONGEST_PERIOD)
            period = {"from": format_instant(since), "to": format_instant(end)}
            question = Question("calls", organization_id, period)
            for call in read_listing(self._reports, question, "calls")[1]:
                our = self._listed(organization_id, call)
                found[organization_id, our.call_id] = our
            since = end
        return found

    def look_up(
        self, theirs: Iterable[TheirCall], advance: Callable[[int], None]
    ) -> Iterator[OurCall]:
        """Read calls one by one, which the lists leave out because they are free."""
        for their in theirs:
            question = Question("explanation", their.organization_id, {"callId": their.call_id})
            answer = self._reports.ask(question)
            advance(1)
            if answer.get("error") != "notFound":
                yield self._explained(their, answer)

    def _listed(self, organization_id: str, call: dict[str, Any]) -> OurCall:
        return self._our_call(
            organization_id,
            call,
            answered=call["connectedSeconds"],
            cost=_cost(call, by_rate_card=self._by_rate_card),
        )

    def _explained(self, their: TheirCall, answer: dict[str, Any]) -> OurCall:
        price, charge = answer["price"], answer["charge"]
        cost = {"retailCost": price["retailCost"], "charge": charge["amount"]}
        currency = price["currency"] if self._by_rate_card else charge["currency"]
        return self._our_call(
            their.organization_id,
            {**answer["input"], "callId": their.call_id},
            answered=answer["input"]["connectedSeconds"],
            cost=_cost({**cost, "currency": currency}, by_rate_card=self._by_rate_card),
        )

    @staticmethod
    def _our_call(
        organization_id: str, call: dict[str, Any], *, answered: int, cost: dict[str, Any]
    ) -> OurCall:
        leg_type, number = LegType(call["legType"]), call["number"]
        is_dial_out = leg_type is LegType.DIAL_OUT
        return OurCall(
            organization_id=organization_id,
            call_id=call["callId"],
            organizer_id=call["organizerId"],
            leg_type=leg_type,
            service_number=None if is_dial_out else number,
            remote_number=number if is_dial_out else None,
            ended_at=parse_instant(call["endedAt"]),
            seconds=answered,
            **cost,
        )


def _midnight(at: datetime) -> datetime:
    return datetime.combine(at.date(), time(), UTC)
