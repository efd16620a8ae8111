"""What the commands do with rate cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.errors import FaultyRateCard
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.terminal import write_json, write_line, write_lines
from perminute_local.text_files import faults_of

if TYPE_CHECKING:
    from pathlib import Path

    from perminute.domain.errors import Fault
    from perminute.domain.rating.rate_card import RateCard


def load_rate_card(path: Path) -> RateCard:
    """Read a rate card from a file; raises `FaultyCard`, and `OSError` if it cannot be read."""
    with faults_of(path):
        return read_rate_card(path.read_bytes(), version=path.name)


def check_rates(path: Path, *, as_json: bool) -> int:
    """Write the number of rates of a card, or every fault; exit code 1 if there is one."""
    # It reads numbering plans, which no other command of this module needs.
    from perminute_local.rate_card_warnings import card_warnings  # noqa: PLC0415

    content = path.read_bytes()
    faults: tuple[Fault, ...] = ()
    try:
        rates = read_rate_card(content).rates
        warnings = card_warnings(content, rates)
    except FaultyRateCard as error:
        rates, warnings, faults = (), [], error.faults
    if as_json:
        write_json(
            {
                "valid": not faults,
                "rates": len(rates),
                "faults": [_document(fault) for fault in faults],
                "warnings": [_document(warning) for warning in warnings],
            }
        )
        return 1 if faults else 0
    write_lines(f"{path}:{fault.line}: {fault.message}" for fault in faults)
    write_lines(f"{path}:{one.line}: warning: {one.message}" for one in warnings)
    if not faults:
        plural = "" if len(warnings) == 1 else "s"
        remarks = f", {len(warnings)} warning{plural}" if warnings else ""
        write_line(f"{path}: {len(rates)} rates, no fault{remarks}")
    return 1 if faults else 0


def _document(fault: Fault) -> dict[str, object]:
    return {"line": fault.line, "message": fault.message}
