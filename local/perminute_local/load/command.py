"""`perminute load`: its output while it runs, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perminute.domain.values.printable import counted
from perminute_local.deployment import calling_aws
from perminute_local.load.run import run_load
from perminute_local.load.target import Target, check_allowed
from perminute_local.terminal import remark, write_json, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.load.plan import Load
    from perminute_local.load.run import Result

MOST_NAMED = 10


def load_stack(stack_name: str, load: Load, *, costs_are_known: bool, as_json: bool) -> int:
    """Load a stack; exit code 1 if anything was not charged, or not to the cent."""
    with calling_aws(f"{stack_name} cannot be loaded"):
        check_allowed(costs_are_known=costs_are_known)
        result = run_load(Target(stack_name), load, lambda line: remark(f"perminute: {line}"))
    if as_json:
        write_json(document_of(result))
    else:
        write_lines(lines_of(result))
    return 0 if result.is_right else 1


def document_of(result: Result) -> dict[str, Any]:
    """Return what `--json` writes."""
    return {
        "run": result.run,
        "organizations": result.load.organizations,
        "asked": {"callsPerSecond": result.load.rate, "calls": result.load.calls},
        "sent": {"calls": result.sent.calls, "seconds": round(result.sent.seconds, 3)},
        "notSent": list(result.sent.refused[:MOST_NAMED]),
        "chargedPerSecond": _rate(result),
        "seconds": round(result.seconds, 3),
        "latencySeconds": {
            "p50": _rounded(result.after(50)),
            "p99": _rounded(result.after(99)),
            "calls": len(result.latencies),
            "missing": result.missing,
        },
        "deepestQueue": result.deepest,
        "handedBack": result.handed_back,
        "deadLetters": result.dead_letters,
        "wrongBalances": list(result.wrong_balances),
        "differences": list(result.differences),
    }


def lines_of(result: Result) -> Iterator[str]:
    """Yield what people read."""
    load, sent = result.load, result.sent
    yield f"sent          {sent.calls} of {counted(load.calls, 'call')} in {sent.seconds:.1f} s"
    if sent.calls < load.calls and not sent.refused:
        taken = round(sent.calls / sent.seconds)
        yield f"              this machine and the bus take no more than {taken} a second"
    if sent.refused:
        yield f"not sent      {len(sent.refused)}: {sent.refused[0]}"
    yield f"charged       {_rate(result)} a second, until all were after {result.seconds:.1f} s"
    yield (
        f"from event    {_shown(result.after(50))} to the balance for half of them, "
        f"{_shown(result.after(99))} for 99 of 100 (of {len(result.latencies)} followed)"
    )
    if result.missing:
        yield f"              {result.missing} of those that were followed have not been charged"
    yield f"queue         {counted(result.deepest, 'call')} at most"
    yield f"handed back   {counted(result.handed_back, 'message')}, delivered again"
    yield f"dead letters  {result.dead_letters}"
    yield (
        f"balances      {load.organizations - len(result.wrong_balances)} of "
        f"{counted(load.organizations, 'organization')} to the cent"
    )
    for name in result.wrong_balances[:MOST_NAMED]:
        yield f"              {name} has another balance than its calls cost"
    yield f"books         {counted(len(result.differences), 'difference')}"
    for line in result.differences[:MOST_NAMED]:
        yield f"              {line}"


def _rate(result: Result) -> int:
    return round(result.sent.calls / result.seconds) if result.seconds > 0 else 0


def _shown(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds:.1f} s"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
