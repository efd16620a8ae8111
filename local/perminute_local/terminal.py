"""What commands write for people: each line stays one line, whatever it contains.

JSON documents need none of this: `json` escapes what is not ASCII.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from textwrap import indent
from typing import TYPE_CHECKING

from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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


def write_large_json(document: Mapping[str, object]) -> None:
    """Write the same as `write_json`, and the items of an iterator one by one as lists."""
    for number, (name, value) in enumerate(document.items()):
        sys.stdout.write(f"{',' if number else '{'}\n  {json.dumps(name)}: ")
        if isinstance(value, Iterator):
            _write_list(value)
        else:
            sys.stdout.write(indent(json.dumps(value, indent=2), "  ").lstrip())
    sys.stdout.write("\n}\n")


def _write_list(items: Iterator[object]) -> None:
    before = "["
    for item in items:
        sys.stdout.write(f"{before}\n{indent(json.dumps(item, indent=2), '    ')}")
        before = ","
    sys.stdout.write("[]" if before == "[" else "\n  ]")
