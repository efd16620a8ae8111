"""The folder of a replay: a rate card and events. Every fault is found before anything starts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.text_files import check_encoding, faults_of
from perminute_local.wrong_call import FaultyFolder, WrongFile

if TYPE_CHECKING:
    from pathlib import Path

RATES, EVENTS = "rates.csv", "events.jsonl"


def check_folder(folder: Path) -> None:
    """Raises `WrongFile` with every fault that makes a replay of this folder impossible.

    A line that is no event does not: it is refused as the bus would refuse it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        msg = f"{folder}: {what}; name a folder that holds {RATES} and {EVENTS}"
        raise WrongFile(msg)
    errors: list[WrongFile] = []
    for check, name in (_check_card, RATES), (_check_events, EVENTS):
        try:
            check(folder / name)
        except WrongFile as error:
            errors.append(error)
    if len(errors) > 1:
        raise FaultyFolder(folder, errors)
    for only in errors:
        raise only


def _check_card(path: Path) -> None:
    if not path.is_file():
        msg = f"{path}: there is no such file; a replay needs the rate card that its calls cost by"
        raise WrongFile(msg)
    with faults_of(path):
        read_rate_card(path.read_bytes())


def _check_events(path: Path) -> None:
    if not path.is_file():
        msg = f"{path}: there is no such file; a replay needs its events there, one a line"
        raise WrongFile(msg)
    check_encoding(path)
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if text and not text.startswith("#"):
                layout = _layout(line + lines.read()) if _may_go_on(line) else None
                if layout is not None:
                    msg = f"{path}:{number}: {layout}; write one event a line: jq -c {_OUT[layout]}"
                    raise WrongFile(msg)
                return


_ARRAY, _SEVERAL_LINES = "is a JSON array", "is JSON that goes over several lines"
_OUT = {_ARRAY: "'.[]'", _SEVERAL_LINES: "."}


def _may_go_on(line: str) -> bool:
    """Whether this line alone is no event, but may begin something else that is JSON."""
    try:
        return isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return line.lstrip()[0] in "[{"


def _layout(text: str) -> str | None:
    """Return how a file is laid out that has no event in a line of its own."""
    text = text.lstrip()
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list):
        return _ARRAY if all(isinstance(one, dict) for one in value) else None
    return _SEVERAL_LINES if "\n" in text[:end] else None
