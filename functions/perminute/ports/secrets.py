"""Secrets that rotate while functions run."""

from __future__ import annotations

from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Secret(Protocol[T_co]):
    """A secret that is kept in memory for some minutes. Raises `SecretUnreadable`."""

    def current(self) -> T_co:
        """Return the secret."""

    def renewed(self) -> T_co:
        """Return the secret read anew; the same object if it was read a moment ago."""
