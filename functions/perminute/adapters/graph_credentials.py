"""By what an application logs in to Microsoft Graph, and the secret that lists it for each tenant.

The secret is a JSON list (docs/microsoft-graph.md)::

    [{"tenant": "…", "clientId": "…", "clientSecret": "…", "cloud": "global"}]

Messages name a place in it, and never what is there.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

from perminute.domain.errors import Unavailable

Cloud = Literal["global", "usGov", "usGovDoD"]
CLOUD_NAMES: tuple[Cloud, ...] = get_args(Cloud)

# A GUID, or a domain such as contoso.onmicrosoft.com: it becomes a part of an address and of keys.
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", re.ASCII)
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)


class GraphCredentials(NamedTuple):
    """An application's login in one tenant."""

    tenant: str
    client_id: str
    client_secret: str
    cloud: Cloud = "global"

    def __repr__(self) -> str:
        """Show no secret, wherever it is shown."""
        return f"GraphCredentials(tenant={self.tenant!r}, cloud={self.cloud!r})"


class _Entry(Struct, rename="camel", forbid_unknown_fields=True):
    tenant: str
    client_id: str
    client_secret: str
    cloud: Cloud = "global"


_read = Decoder(list[_Entry]).decode


def check_tenant(text: str) -> str:
    """Return what names a tenant; raises `ValueError`."""
    if _TENANT.fullmatch(text) is None:
        msg = "must be the tenant's GUID"
        raise ValueError(msg)
    return text


def check_client_id(text: str) -> str:
    """Return the id of an application; raises `ValueError`."""
    if _GUID.fullmatch(text) is None:
        msg = "must be the application (client) id, a GUID"
        raise ValueError(msg)
    return text


def check_client_secret(text: str) -> str:
    """Return the secret of an application; raises `ValueError`, which does not repeat it."""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        msg = "must be the value of a client secret, in one line without spaces"
        raise ValueError(msg)
    return text


def read_graph_credentials(secret: str) -> tuple[GraphCredentials, ...]:
    """Read the secret; raises `Unavailable`, because a corrected one is read the next time."""
    entries = _entries(secret)
    if not entries:
        msg = "the secret of Graph lists no tenant"
        raise Unavailable(msg)
    tenants = [entry.tenant.casefold() for entry in entries]
    for number, tenant in enumerate(tenants):
        if (first := tenants.index(tenant)) != number:
            raise _faulty(number, "tenant", f"is the same as [{first}].tenant")
    return tuple(_credentials(number, entry) for number, entry in enumerate(entries))


def _entries(secret: str) -> list[_Entry]:
    try:
        return _read(secret)
    except ValidationError as error:
        # msgspec says what it expected where, and quotes only what is none of some names.
        clouds = f"must be {', '.join(CLOUD_NAMES)}"
        why = re.sub(r"Invalid enum value '.*'", clouds, str(error))
        msg = f"the secret of Graph is faulty: {why}"
        raise Unavailable(msg) from None
    except (DecodeError, UnicodeError, RecursionError):
        msg = "the secret of Graph is not JSON"
        raise Unavailable(msg) from None


def _credentials(number: int, entry: _Entry) -> GraphCredentials:
    fields = (
        ("tenant", check_tenant, entry.tenant),
        ("clientId", check_client_id, entry.client_id),
        ("clientSecret", check_client_secret, entry.client_secret),
    )
    for name, check, text in fields:
        try:
            check(text)
        except ValueError as error:
            raise _faulty(number, name, str(error)) from None
    # In one spelling, as the tenant is in keys of objects.
    return GraphCredentials(entry.tenant.lower(), entry.client_id, entry.client_secret, entry.cloud)


def _faulty(number: int, name: str, why: str) -> Unavailable:
    return Unavailable(f"the secret of Graph is faulty: [{number}].{name} {why}")
