"""Text from outside as people read it: in e-mails, on terminals, in spreadsheets.

Ids and reasons are stored and returned as they were sent. Where a person reads them, no character
may start another line, move the cursor or color it (ESC), or turn the reading direction (U+202E),
and no spreadsheet may compute anything.
"""

from __future__ import annotations

import re

# More than an e-mail has whose names and reason are as long as may be, and cannot be printed.
MAX_CHARACTERS = 25_000
# What begins a formula, also as wide East Asian letters (OWASP: "CSV Injection").
_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
# Where amounts have decimal commas, Excel takes a semicolon for the end of a cell, also one that is
# in quotation marks if the row does not begin with them.
_FORMULA_AFTER_END = re.compile(rf'(?<=;)(?P<between>[ "]*)(?={_FORMULA.pattern})')
# A number, an amount, or a phone number, perhaps with a masked tail: computes nothing.
_NUMBER = re.compile(r"[+-]?[0-9][0-9., ]*\**")
_CAPITAL = re.compile("[A-Z]")


def one_line(text: str, *, at_most: int = MAX_CHARACTERS) -> str:
    """Return the text as one line of printable characters; a longer one ends with an ellipsis."""
    # What cannot be printed becomes its escape, such as \x1b: two ids that differ look different.
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _shown(char) for char in text)
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def spreadsheet_text(text: str) -> str:
    """Return text for a cell of a CSV file, which no spreadsheet takes for a formula."""
    # One that begins like a formula has an apostrophe before it. Numbers stay as they are.
    line = one_line(text).strip()
    is_formula = _FORMULA.match(line) is not None and _NUMBER.fullmatch(line) is None
    if ";" in line:
        line = _FORMULA_AFTER_END.sub(r"\g<between>'", line)
    return f"'{line}" if is_formula else line


def counted(count: int, noun: str, several: str = "") -> str:
    """Return how many there are of something; `several` is its plural, if that is not with an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {several or f'{noun}s'}"


def words_of(code: str) -> str:
    """Write a code of answers as words: `noCreditsLicense` as "no credits license"."""
    return _CAPITAL.sub(lambda found: f" {found[0].lower()}", code)


def _shown(char: str) -> str:
    # Half a surrogate pair has an escape, too; written as it is, it could not be encoded.
    return " " if char.isspace() else char.encode("unicode_escape").decode("ascii")
