"""What somebody meant who wrote a name that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean …?` for the name that is closest, whatever its case; else nothing."""
    # Imported only after a name was misspelled: every other call starts without it.
    from perminute.formats.csv_tables import suggest  # noqa: PLC0415

    known, folded = list(map(str, names)), name.casefold()
    begun = [
        known_name for known_name in known if folded and known_name.casefold().startswith(folded)
    ]
    close = begun[0] if begun else suggest(name, known, cutoff=0.6)
    return f" Did you mean {close!r}?" if close else ""
