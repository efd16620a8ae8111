"""Where changes of users go that perminute itself has found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.domain.licensing.graph_users import DatedChange


class LicensingEvents(Protocol):
    """The bus, to which changes are sent as events. Raises `Unavailable`."""

    def send(self, organization_id: str, changes: Sequence[DatedChange]) -> None:
        """Send all of them, or raise: then some may have been sent. A repeat has the same ids."""
