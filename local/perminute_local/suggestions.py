"""What somebody meant who wrote a name that does not exist."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean …?` for the name that is closest, whatever its case; else nothing."""
    by_folded = {one.casefold(): one for one in names}
    close = get_close_matches(name.casefold(), by_folded, n=1)
    return f" Did you mean {by_folded[close[0]]!r}?" if close else ""
