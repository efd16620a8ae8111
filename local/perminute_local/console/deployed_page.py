"""Writes the files of the page that a stack serves to people who sign in (docs/console.md)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.api.reports.endpoint import REPORTS
from perminute_local.console.charts import chart_library
from perminute_local.console.page import page_files
from perminute_local.deployment import calling_aws, outputs, parameters
from perminute_local.terminal import remark
from perminute_local.tool_environments import InstallationError
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SETTINGS = "console.json"
"""The file that says what is of this stack only."""
SCOPE = "openid"
"""The scope that the page requests; reports need no scope, but a role in the token."""


def write_page(stack_name: str, folder: Path) -> str:
    """Write the files into a new or empty folder; return the bucket to upload them to.

    Raises `WrongCall` if the stack serves no console, or the folder cannot be written.
    """
    with calling_aws(f"the settings of {stack_name} cannot be read"):
        stated, named = parameters(stack_name), outputs(stack_name)
    if not stated.get("ConsoleDomain"):
        msg = f"--write: {stack_name} has no ConsoleDomain; deploy it with one first"
        raise WrongCall(msg)
    try:
        files = {name: file.body for name, file in page_files(chart_library(remark)).items()}
        files[SETTINGS] = json.dumps(settings_of(stack_name, stated), indent=2).encode()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            msg = f"--write: {folder} is not empty; name a new folder"
            raise WrongCall(msg)
        for name, body in files.items():
            (folder / name).write_bytes(body)
    except (OSError, InstallationError) as error:
        msg = f"--write: {folder} cannot be written: {error}"
        raise WrongCall(msg) from error
    return named["ConsoleBucketName"]


def settings_of(stack_name: str, stated: Mapping[str, str]) -> dict[str, object]:
    """Return what the page reads first: what it offers, and how it signs in.

    `stated` are the parameters of the stack.
    """
    sign_in = {
        "issuer": stated["JwtIssuer"],
        "clientId": stated["ConsoleClientId"],
        "scope": SCOPE,
        "organizationClaim": stated["JwtOrganizationClaim"],
    }
    source = f"stack {stack_name}"
    return {"source": source, "organizations": [], "reports": [*REPORTS], "signIn": sign_in}
