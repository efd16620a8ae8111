"""What commands write for people: each line stays one line, whatever it contains.

JSON documents need none of this: `json` escapes what is not ASCII.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_line(line: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{one_line(line)}\n")


def write_lines(lines: Iterable[str]) -> None:
    """Write lines to standard output as they come."""
    for line in lines:
        write_line(line)


def remark(line: str) -> None:
    """Write a line to standard error, where everything goes that is no data."""
    sys.stderr.write(f"{one_line(line)}\n")


def write_json(document: object) -> None:
    """Write a document to standard output, where nothing else goes with `--json`."""
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")
