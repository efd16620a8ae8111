"""What somebody meant who wrote a name that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean …?` for the name that is closest, whatever its case; else nothing."""
    # Imported only after a name was misspelled: every other call starts without it.
    from difflib import get_close_matches  # noqa: PLC0415

    folded, by_folded = name.casefold(), {one.casefold(): str(one) for one in names}
    begun = [one for one in by_folded if folded and one.startswith(folded)]
    close = begun or get_close_matches(folded, by_folded, n=1)
    return f" Did you mean {by_folded[close[0]]!r}?" if close else ""
