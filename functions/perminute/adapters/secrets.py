"""Secrets of Secrets Manager, kept in memory for some minutes, so that they rotate unaided.

The client itself: the parameters utility of Powertools imports boto3, and with it a quarter of a
second of start-up.
"""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from perminute.domain.errors import SecretUnreadable, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MAX_AGE_SECONDS = 300
"""How long a secret is used before it is read again."""

RENEWED_AFTER_SECONDS = 60
"""How often it is read at most because of what does not agree with it: anybody may send that."""

TRIED_AFTER_SECONDS = 10
"""How often it is tried at most while it cannot be read."""

LONGEST_USE_SECONDS = 3_600
"""How long the last good one is used while it cannot be read: one whose rotation failed, perhaps
because it leaked, does not last for ever."""


class CachedSecret(Generic[T]):
    """A secret as `read` parses it, which raises `ValueError` or `Unavailable` for a faulty one."""

    def __init__(
        self,
        make_client: Callable[[], Any],
        secret_id: str,
        read: Callable[[str], T],
        *,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        # `report` gets the reason each time that the secret was tried and could not be read. Not
        # the monotonic clock, which may stand while an instance is frozen.
        self._client = cache(make_client)
        self._secret_id = secret_id
        self._parse = read
        self._report = report
        self._clock = clock
        self._read_at = self._tried_at = float("-inf")
        self._value: T | None = None
        self._why = ""

    def current(self) -> T:
        """Return the secret. Raises `SecretUnreadable`."""
        if self._age() >= MAX_AGE_SECONDS and self._since_tried() >= TRIED_AFTER_SECONDS:
            self._try()
        if self._value is None or self._age() >= LONGEST_USE_SECONDS:
            raise SecretUnreadable(self._why)
        return self._value

    def renewed(self) -> T:
        """Return the secret read anew, unless it was tried within a minute.

        For what does not agree with the one in memory: it may have been rotated since. What is
        returned is the same object if nothing was read. Raises `SecretUnreadable`.
        """
        if self._since_tried() >= RENEWED_AFTER_SECONDS:
            self._try()
        return self.current()

    def _age(self) -> float:
        return self._clock() - self._read_at

    def _since_tried(self) -> float:
        return self._clock() - self._tried_at

    def _try(self) -> None:
        self._tried_at = self._clock()
        try:
            self._value = self._parse(self._content())
        except (BotoCoreError, ClientError, Unavailable, ValueError) as error:
            self._why = f"{self._secret_id}: {error}"
            self._report(self._why)
        else:
            self._read_at = self._tried_at

    def _content(self) -> str:
        content: str | None = (
            self._client().get_secret_value(SecretId=self._secret_id).get("SecretString")
        )
        if content is None:
            msg = "must be stored as text (SecretString), not as binary"
            raise ValueError(msg)
        return content
