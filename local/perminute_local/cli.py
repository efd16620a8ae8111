"""The command line (CONTRACT §4).

Data goes to standard output, everything else to standard error. Exit 0: done; 1: the answer is
no; 2: the call was wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from perminute.domain.codes import check_currency
from perminute.domain.errors import FaultyRateCard
from perminute.domain.identifiers import check_spaces
from perminute.domain.legs import MAX_LEG_SECONDS, PHONE_LEG_TYPES, LegType
from perminute.domain.phone_numbers import check_e164
from perminute.domain.times import parse_instant
from perminute_local import commands
from perminute_local.commands import WrongCall
from perminute_local.decks import DECKS
from perminute_local.terminal import remark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DONE, WRONG, INTERRUPTED = 0, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        remark("perminute: interrupted")
        return INTERRUPTED
    except (WrongCall, FaultyRateCard, OSError) as error:
        remark(f"perminute: {_describe(error)}")
        if isinstance(error, FaultyRateCard):
            for fault in error.faults:
                remark(f"line {fault.line}: {fault.message}")
        return WRONG


def _describe(error: Exception) -> str:
    if isinstance(error, FaultyRateCard):
        return "the file is refused:"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="perminute", description="Prepaid, per-minute charging of phone calls into meetings."
    )
    parser.add_argument("--version", action="version", version=f"perminute {version('perminute')}")
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_quote(commands_.add_parser("quote", help="what a call, or a file of calls, would cost"))
    rates = commands_.add_parser("rates", help="check, convert, publish and correct rate cards")
    _add_rates(rates.add_subparsers(required=True, metavar="COMMAND"))
    _add_replay(commands_.add_parser("replay", help="run a folder of events on an embedded AWS"))
    _add_simulate(
        commands_.add_parser("simulate", help="look for a fault that loses or doubles a cent")
    )
    _add_reconcile(
        commands_.add_parser("reconcile", help="hold a deployed stack's books against each other")
    )
    dlq = commands_.add_parser("dlq", help="what a deployed stack could not process")
    _add_dlq(dlq.add_subparsers(required=True, metavar="COMMAND"))
    _add_doctor(commands_.add_parser("doctor", help="is a deployed stack fit to charge calls?"))
    _add_graph(
        commands_.add_parser("graph", help="what Microsoft Graph says of users, as events of ours")
    )
    return parser


def _add_quote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rates", required=True, type=Path, metavar="FILE", help="the rate card")
    parser.add_argument("--leg-type", choices=[one.value for one in PHONE_LEG_TYPES])
    parser.add_argument("--number", type=_checked(check_e164), help="E.164, with +")
    parser.add_argument("--seconds", type=_checked(_seconds), help="connected time, 0 to 86400")
    parser.add_argument(
        "--at", type=_checked(parse_instant), help="when it was answered (default: now)"
    )
    parser.add_argument(
        "--calls",
        type=Path,
        metavar="FILE",
        help="instead of one call, JSON lines of legType, number, seconds and at",
    )
    parser.add_argument(
        "--currency",
        type=_checked(check_currency),
        help="the currency of the credit: a price in another one is none",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_quote)


def _quote(options: argparse.Namespace) -> int:
    card = commands.load_rate_card(options.rates)
    one_call = (options.leg_type, options.number, options.seconds)
    if options.calls is not None:
        if any(part is not None for part in (*one_call, options.at)):
            msg = "--calls takes the place of --leg-type, --number, --seconds and --at"
            raise WrongCall(msg)
        return commands.quote_calls(
            card, options.calls, currency=options.currency, as_json=options.json
        )
    if any(part is None for part in one_call):
        msg = "quote needs --leg-type, --number and --seconds, or --calls"
        raise WrongCall(msg)
    call = commands.Call(
        LegType(options.leg_type),
        options.number,
        options.seconds,
        options.at or datetime.now(UTC),
    )
    return commands.quote_call(card, call, currency=options.currency, as_json=options.json)


def _add_rates(parsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = parsers.add_parser("check", help="list every fault of a rate card")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=lambda o: commands.check_rates(o.file, as_json=o.json))
    convert = parsers.add_parser("convert", help="turn a carrier's price list into a rate card")
    convert.add_argument("--from", dest="deck", required=True, choices=sorted(DECKS))
    convert.add_argument("file", type=Path, metavar="FILE")
    convert.add_argument(
        "--origin",
        type=_checked(check_e164),
        metavar="NUMBER",
        help="the number that dial-outs come from, where prices depend on it (twilio)",
    )
    convert.set_defaults(run=lambda o: commands.convert_rates(o.deck, o.file, origin=o.origin))
    publish = parsers.add_parser("publish", help="make a rate card the one in force")
    publish.add_argument("file", type=Path, metavar="FILE")
    publish.add_argument("--bucket", required=True, help="RateCardBucketName of the deployed stack")
    publish.add_argument(
        "--version",
        required=True,
        type=_checked(_version),
        help="the name of this version, never reused",
    )
    publish.set_defaults(
        run=lambda o: commands.publish_rates(o.file, bucket=o.bucket, version=o.version)
    )
    _add_correct(parsers.add_parser("correct", help="rate the calls of a time by another card"))


def _add_correct(parser: argparse.ArgumentParser) -> None:
    when = "date or time, UTC, by which calls were answered"
    for name, bound in (("--from", f"first {when}"), ("--to", f"{when} before it")):
        parser.add_argument(
            name, dest=name[2:] + "_", required=True, type=_checked(_date_or_instant), help=bound
        )
    parser.add_argument(
        "--version", required=True, type=_checked(_version), help="the version to rate them by"
    )
    _add_stack(parser)
    parser.add_argument("--yes", action="store_true", help="book what differs; else only show it")
    parser.set_defaults(run=_correct)


def _correct(options: argparse.Namespace) -> int:
    from perminute.application.correct_rates import RateCorrection  # noqa: PLC0415 - as for a replay
    from perminute_local.correct_rates import run_correct_rates  # noqa: PLC0415

    if options.from_ >= options.to_:
        msg = "--to must lie after --from: calls answered at --to are not included"
        raise WrongCall(msg)
    correction = RateCorrection(
        version=options.version, since=options.from_, until=options.to_, at=datetime.now(UTC)
    )
    return run_correct_rates(
        correction, options.stack, options.organization, book=options.yes, as_json=options.json
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="rates.csv and events.jsonl")
    parser.add_argument("--json", action="store_true", help="one JSON document, no tables")
    parser.add_argument(
        "--batch-size",
        type=_checked(_positive),
        metavar="N",
        help="messages that a function gets at most (default: as the template says)",
    )
    parser.add_argument("--seed", type=int, metavar="S", help="of the disturbances below")
    parser.add_argument(
        "--duplicate",
        type=_checked(_probability),
        default=0.0,
        metavar="P",
        help="deliver an event once more with this probability",
    )
    parser.add_argument("--shuffle", action="store_true", help="shuffle within a second")
    parser.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    if options.seed is None and (options.duplicate or options.shuffle):
        msg = "--duplicate and --shuffle need a --seed, so that the run can be had again"
        raise WrongCall(msg)
    # Only a replay needs the AWS clients; every other command starts without them.
    from perminute_local.replay.command import run_replay  # noqa: PLC0415
    from perminute_local.replay.deliveries import Disturbance  # noqa: PLC0415

    disturbance = Disturbance(options.seed or 0, options.duplicate, options.shuffle)
    return run_replay(
        options.folder,
        batch_size=options.batch_size,
        disturbance=disturbance,
        as_json=options.json,
    )


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first world (0)")
    parser.add_argument(
        "--seeds", type=_checked(_positive), default=1, metavar="N", help="how many worlds (1)"
    )
    parser.add_argument(
        "--events", type=_checked(_positive), metavar="N", help="events and calls of a world (300)"
    )
    parser.add_argument(
        "--faults", default="all", metavar="KINDS", help="what goes wrong: all, none, or throttle,…"
    )
    parser.add_argument(
        "--over",
        choices=("twins", "moto", "adverse"),
        default="twins",
        help="what the functions run over",
    )
    parser.add_argument("--items", metavar="NUMBERS", help="only these items of the plan: 0-5,17")
    parser.add_argument("--history", action="store_true", help="print all that happened")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    # As for a replay; and the kinds of faults are known only then.
    from perminute_local.simulation.command import (  # noqa: PLC0415
        faults_named,
        items_named,
        run_simulate,
    )
    from perminute_local.simulation.worlds import EVENTS, Over, World  # noqa: PLC0415

    try:
        faults = faults_named(options.faults)
    except ValueError as error:
        msg = f"--faults {error}"
        raise WrongCall(msg) from error
    try:
        items = items_named(options.items) if options.items else None
    except ValueError as error:
        msg = f"--items {error}"
        raise WrongCall(msg) from error
    world = World(
        seed=options.seed,
        events=options.events or EVENTS,
        faults=faults,
        over=Over(options.over),
        items=items,
    )
    return run_simulate(world, options.seeds, history=options.history, as_json=options.json)


def _add_reconcile(parser: argparse.ArgumentParser) -> None:
    _add_stack(parser)
    parser.add_argument(
        "--status", action="store_true", help="how far the nightly checks have come; reads no books"
    )
    parser.set_defaults(run=_reconcile)


def _add_stack(parser: argparse.ArgumentParser) -> None:
    """Name a stack, and perhaps some of its organizations."""
    parser.add_argument("--stack", required=True, metavar="NAME", help="the stack's name")
    parser.add_argument(
        "--organization",
        action="append",
        default=[],
        type=_checked(check_spaces),
        metavar="ID",
        help="only this organization; may be given more than once",
    )
    parser.add_argument("--json", action="store_true")


def _reconcile(options: argparse.Namespace) -> int:
    if options.status:
        from perminute_local.book_checks import run_status  # noqa: PLC0415 - as for a replay

        if options.organization:
            msg = "--status is of all organizations; leave out --organization"
            raise WrongCall(msg)
        return run_status(options.stack, as_json=options.json)
    from perminute_local.reconcile import run_reconcile  # noqa: PLC0415 - as for a replay

    return run_reconcile(options.stack, options.organization, as_json=options.json)


def _add_dlq(parsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    looking = parsers.add_parser("list", help="show what waits, and why; all stays")
    looking.add_argument("--queue", metavar="NAME", help="only this one (CallsDeadLetters)")
    looking.add_argument("--json", action="store_true")
    looking.set_defaults(run=_list_dead_letters)
    redrive = parsers.add_parser("redrive", help="send messages back to where they came from")
    redrive.set_defaults(run=_redrive)
    discard = parsers.add_parser("discard", help="delete messages that have been dealt with")
    discard.set_defaults(run=_discard)
    for parser in (redrive, discard):
        parser.add_argument("--queue", required=True, metavar="NAME", help="CallsDeadLetters, say")
        parser.add_argument(
            "--message",
            action="append",
            default=[],
            required=parser is discard,
            metavar="ID",
            help="only this one; may be given more than once",
        )
    for parser in (looking, redrive, discard):
        parser.add_argument("--stack", required=True, metavar="NAME", help="the stack's name")


def _list_dead_letters(options: argparse.Namespace) -> int:
    from perminute_local.dead_letters import run_list  # noqa: PLC0415 - as for a replay

    return run_list(options.stack, options.queue, as_json=options.json)


def _redrive(options: argparse.Namespace) -> int:
    from perminute_local.dead_letters import run_redrive  # noqa: PLC0415 - as for a replay

    return run_redrive(options.stack, options.queue, options.message)


def _discard(options: argparse.Namespace) -> int:
    from perminute_local.dead_letters import run_discard  # noqa: PLC0415 - as for a replay

    return run_discard(options.stack, options.queue, options.message)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", required=True, metavar="NAME", help="the stack's name")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from perminute_local.doctor import run_doctor  # noqa: PLC0415 - as for a replay

    return run_doctor(options.stack, as_json=options.json)


def _add_graph(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="users with assignedPlans, assignedLicenses and usageLocation: an export, a delta, "
        "notifications",
    )
    parser.add_argument(
        "--organization",
        required=True,
        type=_checked(check_spaces),
        metavar="ID",
        help="whose users they are",
    )
    parser.add_argument(
        "--stack",
        metavar="NAME",
        help="the stack that knows the users (default: none; then all is news)",
    )
    parser.add_argument(
        "--at", type=_checked(parse_instant), help="when Graph said so (default: now)"
    )
    parser.add_argument(
        "--send", action="store_true", help="send the events to the stack instead of writing them"
    )
    parser.set_defaults(run=_graph)


def _graph(options: argparse.Namespace) -> int:
    if options.send and not options.stack:
        msg = "--send needs a --stack to send to"
        raise WrongCall(msg)
    from perminute_local.graph import run_graph  # noqa: PLC0415 - as for a replay

    return run_graph(
        options.file,
        organization_id=options.organization,
        stack_name=options.stack,
        seen_at=options.at or datetime.now(UTC),
        send=options.send,
    )


def _checked(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Let argparse show what a parser says of a wrong value, which it drops otherwise."""

    def checked(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _seconds(text: str) -> int:
    whole = re.fullmatch(r"([0-9]+)(\.0+)?", text)
    if whole is None or int(whole[1]) > MAX_LEG_SECONDS:
        msg = f"must be a whole number from 0 to {MAX_LEG_SECONDS} (24 h)"
        raise ValueError(msg)
    return int(whole[1])


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        msg = "must be a whole number greater than 0"
        raise ValueError(msg)
    return int(text)


def _probability(text: str) -> float:
    if re.fullmatch(r"0(\.[0-9]+)?|1(\.0+)?", text) is None:
        msg = "must be a probability from 0 to 1"
        raise ValueError(msg)
    return float(text)


def _date_or_instant(text: str) -> datetime:
    """Read a date as its first instant."""
    is_date = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII)
    return parse_instant(f"{text}T00:00:00Z" if is_date else text)


def _version(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) is None:
        msg = "must be letters, digits, dots and dashes"
        raise ValueError(msg)
    return text
