"""The tenants that an application may read in Microsoft Graph, by the secret that lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.graph import GraphClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perminute.adapters.graph_credentials import GraphCredentials
    from perminute.ports.secrets import Secret


class SecretGraphTenants:
    """`GraphTenants` by a secret; each run logs in anew, with the secret of that time."""

    def __init__(self, secret: Secret[Sequence[GraphCredentials]]) -> None:
        self._secret = secret

    def current(self) -> Mapping[str, GraphClient]:
        return {
            credentials.tenant: GraphClient(credentials) for credentials in self._secret.current()
        }
