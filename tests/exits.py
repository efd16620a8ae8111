"""How text from outside leaves: each exit writes what a person reads with that text in it."""

from __future__ import annotations

import csv
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args
from unittest.mock import patch

from builders import ANSWERED, announced, holding, lot, rating
from report_answers import answers as answers_of_reports
from rich.console import Console

from perminute.adapters.memory import StoredRejections
from perminute.adapters.notification_documents import declared_types, document_of
from perminute.adapters.sns_topic import _entry
from perminute.api.http import error_document
from perminute.application.check_books import BooksReport
from perminute.application.correct_rates import CorrectionTotal
from perminute.domain.comparison.difference_kinds import DifferenceKind
from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.credit.recharge import Disabled
from perminute.domain.errors import Conflict, NotFound, Refused, Unavailable
from perminute.domain.forecast.figures import Band, Confidence, RunsOut
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.spending import LimitName
from perminute.domain.notifications.notifications import (
    CallNotification,
    DifferingCalls,
    Notification,
    NotificationBody,
    notification,
)
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag
from perminute.domain.reconciliation.reconciliation import Difference
from perminute.formats.rate_card_csv import COLUMNS
from perminute.observability import logger, metrics
from perminute.reports import report_ties
from perminute.sqs import BatchResults, process_batch
from perminute_local import cli, dead_letters, doctor, reconcile
from perminute_local.dead_letters import Letter, _done
from perminute_local.findings import Finding, Status
from perminute_local.rates.correct_rates import _Of, _remarks, _table
from perminute_local.replay.report import report
from perminute_local.replay.results import Rejected, Response, Results
from perminute_local.reports.kinds import REPORTS
from perminute_local.reports.source import Question
from perminute_local.simulation.command import _lines
from perminute_local.terminal import remark, write_lines
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable

REASONS: dict[str, Any] = {
    "CallNotEntitled": NotEntitled.NO_CREDITS_LICENSE,
    "CallNotRated": Unpriced.CURRENCY_MISMATCH,
    "CallFlagged": Flag.DIAL_OUT_NOT_ALLOWED,
    "Disabled": Disabled.THREE_FAILURES,
    "LegType": LegType.TOLL_FREE_DIAL_IN,
    "LimitName": LimitName.MONTHLY_SPEND,
    "Band": Band(10, 20, 30),
    "RunsOut": RunsOut(ANSWERED.date(), ANSWERED.date(), None),
    "Confidence": Confidence.LOW,
}


def encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def value_of(kind: Any, name: str, annotation: str, text: str) -> Any:
    if name == "reason":
        annotation = f"{kind.__name__} {annotation}"
    for reason, value in REASONS.items():
        if reason in annotation:
            return value
    if "DifferingCalls" in annotation:
        return tuple(DifferingCalls(one, 10, -10, 10) for one in DifferenceKind)
    if "tuple" in annotation:
        return (text,)
    for plain, value in {"datetime": ANSWERED, "int": 10, "bool": None}.items():
        if plain in annotation:
            return value
    return {"currency": "USD", "month": "2026-11", "prefix": "49302"}.get(name, text)


def all_news(text: str) -> list[Notification]:
    """Every kind of notification; what cannot be encoded reaches no account."""
    text = encodable(text)
    digests = [
        kind(**{f: value_of(kind, f, t, text) for f, t in declared_types(kind).items()})
        for kind in get_args(NotificationBody)
    ]
    single = [one._replace(calls=None) for one in digests if isinstance(one, CallNotification)]
    return [
        notification(one, organization_id=text, at=ANSWERED, cause="c")
        for one in (*digests, *single)
    ]


def published(text: str) -> list[dict[str, Any]]:
    """Each of them as it goes out, with that name of its organization."""
    name = encodable(text)
    return [document_of(announced(one, organization_name=name)) for one in all_news(text)]


def e_mails(text: str) -> str:
    documents = published(text)
    return "\n".join(part for one in documents for part in (one["subject"], one["text"]))


def subjects(text: str) -> str:
    return "\n".join(_entry("1", one)["Subject"] for one in published(text))


def refusals(text: str) -> str:
    def refuse(_: str, __: object) -> object:
        raise Refused("callId", f"conflict: {text} is recorded with another endedAt")

    record = {"messageId": "m", "body": "{}", "attributes": {}}
    kept = StoredRejections()
    batch: BatchResults[object] = process_batch(
        {"Records": [record]}, parse=refuse, use_case=lambda *_: (), rejections=kept
    )
    (refused,) = batch.refused
    return refused.reason


def answers(text: str) -> str:
    errors = (kind("callId", text) for kind in (Refused, Conflict, NotFound))
    return "\n".join(error_document(error).message for error in errors)


def log(text: str) -> str:
    """As CloudWatch gets it, and `aws logs tail` shows it."""
    written = io.StringIO()
    handler: Any = logger.registered_handler
    before, level = handler.setStream(written), logger.log_level
    logger.setLevel("INFO")
    try:
        report_ties(text, Unavailable(text))
    finally:
        handler.setStream(before)
        logger.setLevel(level)
        metrics.clear_metrics()
    line = json.loads(written.getvalue())
    assert (line["organizationId"], line["reason"]) == (text, text)
    return written.getvalue()


def screen_of(run: Callable[[], object]) -> str:
    """What a command writes, on both streams."""
    written = io.StringIO()
    with redirect_stdout(written), redirect_stderr(written):
        run()
    return written.getvalue()


def dlq_list(text: str) -> str:
    letter = Letter(message_id=text, event_id=text, sent_at=ANSWERED, reason=text)

    class Stack:
        queues = ("CallsDeadLetters",)

        def __init__(self, _: str) -> None:
            pass

        def look(self, _: str) -> list[Letter]:
            return [letter, letter._replace(reason=None)]

    with patch.object(dead_letters, "_Stack", Stack):
        return screen_of(lambda: dead_letters.run_list("stack", None, as_json=False))


def dlq_discard(text: str) -> str:
    return screen_of(lambda: _done([], [text], "discarded", as_json=False))


def reconciled(text: str) -> str:
    difference = Difference(organization_id=text, message=text, entry_ids=(text,))
    books = [
        BooksReport(text, 1, 2),
        BooksReport(text, 1, 2, (difference,)),
        BooksReport(text, unavailable=text),
    ]
    with (
        patch.object(reconcile, "deployed_tables", lambda _: None),
        patch.object(reconcile, "reconcile", lambda *_: books),
    ):
        return screen_of(lambda: reconcile.run_reconcile("stack", [], as_json=False))


def doctored(text: str) -> str:
    class CheckedStack:
        def __init__(self, _: str) -> None:
            self.checks = (lambda: [Finding(Status.FAIL, text, text)],)

    with patch.object(doctor, "_CheckedStack", CheckedStack):
        return screen_of(lambda: doctor.run_doctor("stack", as_json=False))


def rates_corrected(text: str) -> str:
    corrected = CorrectionTotal(priced=1, unpriced=1, pools=frozenset([Month(2026, 11)]))
    done = [_Of(text, "USD", corrected)]

    def write() -> None:
        write_lines(_table(done, "2026-11"))
        for line in _remarks(done, {text: text}, booked=False):
            remark(line)

    return screen_of(write)


def graph_problems(text: str) -> str:
    users = [
        {"id": text, "assignedPlans": [], "usageLocation": "DE"},
        {"id": f"{text}2", "assignedPlans": [], "usageLocation": text},
    ]
    page = json.dumps({"value": users, "@odata.nextLink": text})
    return command_over("users.json", page.encode(), ["graph", "--organization", "contoso"])


def faults(text: str) -> str:
    """A rate card with nonsense in every cell, in a file of that name."""
    card = io.StringIO()
    csv.writer(card).writerows([COLUMNS, [text] * len(COLUMNS)])
    content = card.getvalue().encode(errors="replace")
    name = f"{encodable(text).replace('/', '').replace(chr(0), '')}.csv"
    checked = command_over(name, content, ["rates", "check"])
    return checked + command_over(name, content, ["quote", "--calls", "x", "--rates"])


def command_over(name: str, content: bytes, command: list[str]) -> str:
    with TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_bytes(content)
        return screen_of(lambda: cli.main([*command, str(file)]))


def replayed(text: str) -> str:
    # A dial-out to Japan, of which the card has no price.
    call = rating(text, 0, organization_id=text, remote_number="+81312345678")
    opened = lot("000000000001", 5, purchase_id=text)
    asked = {"organizationId": text, "month": "2026-11"}
    entry = LedgerEntry(
        organization_id=text,
        entry_id="000000000001",
        type=EntryType.PURCHASE,
        amount_micros=5,
        balance_after_micros=5,
        at=ANSWERED,
        lots=(),
        cause=text,
        opens=opened,
    )
    results = Results(
        accounts=[holding(opened, organization_id=text)],
        usages=[call.usage(0, 0)],
        entries=[entry],
        rejected=[Rejected(text, text)],
        notifications=published(text),
        differences=[Difference(organization_id=text, message=text, entry_ids=())],
        responses=[
            Response(ANSWERED, text, {"callId": text}, {"error": "invalid", "message": text}),
            Response(ANSWERED, "usage", asked, answers_of_reports(text)["usage"]),
        ],
    )
    written = io.StringIO()
    # As wide as all of it: a table folds what is longer, into further lines.
    Console(file=written, width=20_000).print(*report(results), sep="\n")
    return written.getvalue()


def reported(text: str) -> str:
    written = io.StringIO()
    console = Console(file=written, width=20_000)
    for name, answer in answers_of_reports(text).items():
        question = Question(name, text, {"month": "2026-11"})
        tables = REPORTS[name].tables
        assert tables is not None
        console.print(*tables(question, answer), sep="\n")
    return written.getvalue()


def errors(text: str) -> str:
    with patch.object(doctor, "run_doctor", side_effect=WrongCall(text)):
        return screen_of(lambda: cli.main(["doctor", "--stack", "s"]))


def simulated(text: str) -> str:
    document: dict[str, Any] = dict.fromkeys(("items", "invocations", "requests", "faults"), 1)
    broken = {"promise": "p", "message": text}
    document |= {"seed": 1, "broken": broken, "command": "c", "lines": [text]}
    return screen_of(lambda: write_lines(_lines({**document, "shortest": document}, history=True)))


OF_A_NAME: tuple[Callable[[str], str], ...] = (
    e_mails,
    subjects,
    refusals,
    answers,
    log,
    dlq_list,
    dlq_discard,
    reconciled,
    doctored,
    rates_corrected,
    reported,
    errors,
    simulated,
)
"""These write as many lines of one name as of any other."""

OF_SOME_LINES: tuple[Callable[[str], str], ...] = (replayed, graph_problems, faults)
"""These fold a long name, or write what they make of a file in which the text means something."""
