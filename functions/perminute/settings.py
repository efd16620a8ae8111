"""What a function reads from its environment; an error names what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.errors import MissingSetting

if TYPE_CHECKING:
    from collections.abc import Mapping


def required(environment: Mapping[str, str], name: str) -> str:
    """Return a variable that the template sets. Raises `MissingSetting`."""
    value = environment.get(name)
    if not value:
        raise MissingSetting(name)
    return value


def read_timeout_seconds(environment: Mapping[str, str]) -> int | None:
    """Return how long to wait for an answer of DynamoDB; None, as deployed: the adapter's limit.

    An emulator on a busy machine answers later than DynamoDB does, and the more it contains the
    later.
    """
    value = environment.get("READ_TIMEOUT_SECONDS")
    return int(value) if value else None


class TableNames(NamedTuple):
    """The tables under the names that the deployment gave them.

    A name gives no access: what a function may do with a table is in its role.
    """

    credit: str
    usage: str
    licensing: str
    events: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> TableNames:
        """Read the names. Raises `MissingSetting`."""
        return cls(*(required(environment, f"{table.upper()}_TABLE") for table in cls._fields))


class TokenSettings(NamedTuple):
    """What a token that comes with a request over HTTP must say, and whether there must be one."""

    # The claim that names the one organization that a token is for.
    organization_claim: str
    required: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> TokenSettings:
        """Read the settings; whatever is not plainly `false` requires a token."""
        return cls(
            organization_claim=required(environment, "ORGANIZATION_CLAIM"),
            required=required(environment, "TOKENS_REQUIRED") != "false",
        )
