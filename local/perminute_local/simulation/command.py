"""`perminute simulate`: worlds in which everything goes wrong that can, and what holds in them."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections import Counter
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from perminute.domain.values.printable import one_line
from perminute_local.simulation.faults import ALL_FAULTS, Fault
from perminute_local.simulation.shrinking import shortest
from perminute_local.simulation.world import Over, World, simulate
from perminute_local.stack import load_template
from perminute_local.terminal import remark, write_line, write_lines
from perminute_local.user_input import did_you_mean
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute_local.simulation.simulator import Outcome
    from perminute_local.stack import Template

HELD, BROKEN = 0, 1
_COUNTS = ("items", "invocations", "requests", "faults")
_WORLDS_PER_LINE = 10
"""Where there is no terminal, a line after each so many worlds says how far they are."""


def run_simulate(world: World, seeds: int, *, history: bool, as_json: bool) -> int:
    """Simulate a world, and those of the seeds after it; exit code 1 if a promise breaks."""
    _check_items(world)
    template = load_template()
    totals, broken = Counter[str](), list[int]()
    for number in _with_progress(seeds, broken):
        one = replace(world, seed=world.seed + number)
        outcome = _simulate(one, template)
        document = _with_shortest(one, outcome, template)
        totals.update({name: document[name] for name in _COUNTS})
        if outcome.broken is not None:
            broken.append(one.seed)
        # Each world is written as it ends: thousands of histories do not fit into memory.
        if as_json:
            sys.stdout.write(", " if number else '{"worlds": [')
            json.dump(_plain(document, history=history), sys.stdout)
        elif outcome.broken or seeds == 1:
            write_lines(_lines(document, history=history))
    if as_json:
        sys.stdout.write("]}\n")
    elif seeds > 1:
        write_line(_summary(seeds, totals, broken))
    return BROKEN if broken else HELD


def _with_progress(seeds: int, broken: Sequence[int]) -> Iterator[int]:
    """Yield the numbers of the worlds, and show on standard error how many have ended."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        for number in range(seeds):
            yield number
            if seeds > 1 and (number + 1) % _WORLDS_PER_LINE == 0:
                remark(f"{number + 1:,} of {seeds:,} worlds: {_found(broken)}")
        return
    bar = Progress(
        TextColumn("worlds"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=seeds == 1,
    )
    with bar:
        yield from bar.track(range(seeds))


def report_of(world: World, outcome: Outcome, template: Template) -> str:
    """Say what broke in a world, how to have it again, and the shortest history found."""
    lines = _lines(_with_shortest(world, outcome, template), history=False)
    return "".join(f"{one_line(line)}\n" for line in lines)


def faults_named(text: str) -> frozenset[Fault]:
    """Read a list of kinds of faults, or `all`, or `none`; `ValueError` names those there are."""
    if text in {"all", "none"}:
        return ALL_FAULTS if text == "all" else frozenset()
    named = text.split(",")
    for name in named:
        if name not in set(Fault):
            names = ", ".join(sorted(Fault))
            msg = f"must be all, none, or some of {names}, with commas between them."
            raise ValueError(msg + did_you_mean(name, sorted(Fault)))
    return frozenset(map(Fault, named))


def items_named(text: str) -> tuple[int, ...]:
    """Read numbers and ranges of them, as `0-5,17`."""
    items: list[int] = []
    for part in text.split(","):
        range_ = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part)
        if range_ is None or int(range_[2] or range_[1]) < int(range_[1]):
            msg = "must be numbers of items and ranges of them, such as 0-5,17, below a million"
            raise ValueError(msg)
        items += range(int(range_[1]), int(range_[2] or range_[1]) + 1)
    return tuple(items)


def _check_items(world: World) -> None:
    """Refuse items that the plan does not have: nothing at all would happen."""
    last = len(world.plan().items) - 1
    unknown = [number for number in world.items or () if number > last]
    if unknown:
        msg = f"--items {unknown[0]}: the plan of this seed has the items 0-{last}"
        raise WrongCall(msg)


def _simulate(world: World, template: Template) -> Outcome:
    try:
        return simulate(world, template)
    except ModuleNotFoundError as error:
        msg = f"{error.name} is not installed; `make test` installs it, and so does the extra dev"
        raise WrongCall(msg) from error


def _with_shortest(world: World, outcome: Outcome, template: Template) -> dict[str, Any]:
    document = _document(world, outcome)
    if outcome.broken is None:
        return document
    return {**document, "shortest": _document(*shortest(world, outcome, template))}


def _document(world: World, outcome: Outcome) -> dict[str, Any]:
    return {
        "seed": world.seed,
        "command": command_of(world),
        "history": outcome.digest,
        "items": len(world.plan().items if world.items is None else world.items),
        "invocations": outcome.invocations,
        "requests": outcome.requests,
        "faults": sum(outcome.faults.values()),
        "kinds": {kind.value: outcome.faults[kind] for kind in sorted(outcome.faults)},
        "broken": outcome.broken and outcome.broken._asdict(),
        "lines": outcome.history,
    }


def command_of(world: World) -> str:
    """Write the command that has the same history again."""
    command = ["perminute", "simulate", "--seed", str(world.seed), "--events", str(world.events)]
    if world.faults != ALL_FAULTS:
        command += ["--faults", ",".join(sorted(world.faults)) or "none"]
    if world.over is not Over.TWINS:
        command += ["--over", world.over]
    if world.items is not None:
        command += ["--items", _ranges(world.items)]
    return shlex.join(command)


def _ranges(items: Sequence[int]) -> str:
    """Write numbers in the fewest words: those in a row as a range."""
    ranges = []
    for _, group in groupby(enumerate(items), lambda pair: pair[1] - pair[0]):
        row = [item for _, item in group]
        ranges.append(str(row[0]) if len(row) == 1 else f"{row[0]}-{row[-1]}")
    return ",".join(ranges)


def _lines(document: dict[str, Any], *, history: bool) -> list[str]:
    broken, shorter = document["broken"], document.get("shortest")
    counts = ", ".join(f"{document[name]:,} {name}" for name in _COUNTS)
    lines = [f"seed {document['seed']}: {counts}"]
    if broken:
        lines += [f"broken: {broken['promise']}", f"  {broken['message']}"]
        lines.append(f"again:  {document['command']}")
    else:
        lines.append(f"every promise held; history {document['history']}")
    if shorter:
        count = f"{shorter['items']} of {document['items']} items"
        lines.append(f"the shortest history found, {count}: {shorter['broken']['message']}")
        lines.append(f"        {shorter['command']} --history")
    if history or shorter:
        lines += (f"  {line}" for line in (shorter or document)["lines"])
    return lines


def _plain(document: dict[str, Any], *, history: bool) -> dict[str, Any]:
    plain = {name: value for name, value in document.items() if history or name != "lines"}
    if "shortest" in plain:
        plain["shortest"] = _plain(plain["shortest"], history=True)
    return plain


def _summary(worlds: int, totals: Mapping[str, int], broken: Sequence[int]) -> str:
    what = ", ".join(f"{count:,} {name}" for name, count in totals.items())
    return f"{worlds:,} worlds, {what}: {_found(broken)}"


def _found(broken: Sequence[int]) -> str:
    return f"{len(broken)} broken, of the seeds {broken}" if broken else "every promise held"
