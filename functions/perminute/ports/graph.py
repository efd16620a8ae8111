"""Microsoft Graph, as far as use cases read it: lists, page by page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class GraphPage(NamedTuple):
    """One page of a list."""

    # What Graph wrote of each item, byte by byte: nothing of an amount is rounded.
    items: tuple[bytes, ...]
    # Where a delta query goes on the next time; on its last page only.
    delta_link: str | None = None
    # Where the next page is; None after the last one.
    next_link: str | None = None

    @property
    def content(self) -> bytes:
        """Return the items as a page of their own, in the form in which Graph writes one."""
        return b'{"value":[' + b",\n".join(self.items) + b"]}\n"


class GraphRefused(Unavailable):
    """Graph, or the login before it, refuses what is asked for: an operator must act.

    `status` is that of the answer, and `code` what it says of the reason, such as `Forbidden`.
    """

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class GraphLinkExpired(GraphRefused):
    """Graph no longer knows the place at which a list was to go on (410): begin it anew."""


class Graph(Protocol):
    """What one tenant allows to read. Raises `Unavailable`, or `GraphRefused`."""

    def pages(
        self, place: str, *, until: float = math.inf, headers: Mapping[str, str] | None = None
    ) -> Iterator[GraphPage]:
        """Read a list page by page; an error comes after the pages before it.

        `place` is a path such as `/v1.0/users/delta`, or a link that Graph answered with. Nothing
        is begun, and no pause is made, that would last longer than `until`, an instant of the
        monotonic clock.
        """
