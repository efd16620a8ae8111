"""What loading a rate card takes, as CSV and compiled: CPU, and memory of a process of its own."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from perminute.formats.compiled_rate_card import compile_rate_card, read_compiled_rate_card
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.bench.report import Row, best_cpu_seconds, peak_kib, print_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.domain.rating.rate_card import RateCard

SIZES = {100_000: 0.2, 300_000: 0.6}
"""Rows of a card, and in how many seconds of CPU it is to load."""
MIB = 256
"""Half of the smallest function that reads cards (`ExpireCreditFunction`)."""
ROUNDS = 3
KIB_OF_MIB = 1_024
FORMS: dict[str, Callable[[bytes], RateCard]] = {
    "csv": read_rate_card,
    "compiled": read_compiled_rate_card,
}
"""How a function reads each form of a card; the first is the way before."""


def main() -> None:
    """Load cards of both sizes in both forms."""
    for rows, aim in SIZES.items():
        _measure(rows, aim)


def _measure(rows: int, aim: float) -> None:
    csv = _card(rows)
    contents = {"csv": csv, "compiled": compile_rate_card(read_rate_card(csv).rates)}
    figures: dict[str, float] = {}
    for form, content in contents.items():
        rounds = 1 if form == "csv" else ROUNDS
        seconds = best_cpu_seconds(partial(_load, form, content), rounds)
        figures |= {
            f"{form}CpuSeconds": round(seconds, 3),
            f"{form}TwoCardsMiB": _measured_apart(form, content),
            f"{form}Megabytes": round(len(content) / 1e6, 1),
        }
    aims = f"{rows} rows in at most {aim} s of CPU, and two such cards in at most {MIB} MiB"
    print_result(
        "rate cards",
        aims,
        [
            Row(
                f"card of {rows:,} rows, s of CPU",
                figures["compiledCpuSeconds"],
                figures["csvCpuSeconds"],
                f"≤ {aim}",
            ),
            Row(
                f"two cards of {rows:,} rows, MiB",
                figures["compiledTwoCardsMiB"],
                figures["csvTwoCardsMiB"],
                f"≤ {MIB}",
            ),
        ],
        cardRows=rows,
        **figures,
    )


def _load(form: str, content: bytes) -> RateCard:
    # With the digest, as a function checks it.
    hashlib.sha256(content).digest()
    return FORMS[form](content)


def _measured_apart(form: str, content: bytes) -> int:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        command = [sys.executable, "-m", __spec__.name, form, file.name]
        return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)  # noqa: S603 - our own interpreter and module


def _memory_mib(read: Callable[[bytes], RateCard], path: Path) -> int:
    # What the process has more of, at most, while a second card is loaded, with its file.
    before = peak_kib()
    cards = [read(path.read_bytes()) for _ in range(2)]
    peak = peak_kib()
    del cards
    return (peak - before) // KIB_OF_MIB


def _card(rows: int) -> bytes:
    """Return a card of distinct prefixes, in some thousand destinations and prices."""
    chance = random.Random(rows)  # noqa: S311 - reproducible, guards nothing
    prefixes: set[str] = set()
    while len(prefixes) < rows:
        length = chance.choices((3, 4, 5, 6, 7, 8), weights=(1, 4, 10, 25, 40, 30))[0]
        prefixes.add(str(chance.randrange(10 ** (length - 1), 10**length)))
    lines = (
        f"dialOut,{prefix},DE,Destination {prefix[:3]} Mobile,USD,0.{chance.randrange(1, 999):04d}"
        for prefix in sorted(prefixes)
    )
    header = "leg_type,prefix,country,description,currency,rate_per_minute"
    return "\n".join([header, *lines]).encode()


if __name__ == "__main__":
    if sys.argv[1:]:
        form_, path_ = sys.argv[1:]
        sys.stdout.write(f"{_memory_mib(FORMS[form_], Path(path_))}\n")
    else:
        main()
