"""`perminute console --write`: the page of a stack that people sign in to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute_local.cli import main
from perminute_local.console import deployed_page
from perminute_local.tool_environments import InstallationError

if TYPE_CHECKING:
    from pathlib import Path

STATED = {
    "ConsoleDomain": "console.example.com",
    "ConsoleClientId": "console",
    "JwtIssuer": "https://login.example.com/tenant",
    "JwtOrganizationClaim": "organizationId",
}


class Stack:
    def __init__(self, stated: dict[str, str]) -> None:
        self.stated = stated

    def client(self, service: str) -> Any:
        assert service == "cloudformation"
        return self

    def describe_stacks(self, **_: str) -> Any:
        stated = [{"ParameterKey": k, "ParameterValue": v} for k, v in self.stated.items()]
        outputs = [{"OutputKey": "ConsoleBucketName", "OutputValue": "the-bucket"}]
        return {"Stacks": [{"Parameters": stated, "Outputs": outputs}]}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    stack = Stack(dict(STATED))
    library = tmp_path / "vega.0123.js"
    library.write_text("vegaEmbed")
    monkeypatch.setattr(boto3, "client", stack.client)
    monkeypatch.setattr(deployed_page, "chart_library", lambda _: library)
    return stack


@pytest.mark.usefixtures("stack")
def test_the_page_is_written_with_how_to_sign_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a page"
    assert main(["console", "--stack", "s", "--write", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("page' s3://the-bucket --delete --cache-control no-cache\n")
    assert b'content="/vega.0123.js"' in (folder / "index.html").read_bytes()
    assert {"vega.0123.js", "main.js", "sign-in.js", "cost_by_day.json"} < {
        file.name for file in folder.iterdir()
    }
    settings = json.loads((folder / "console.json").read_text())
    assert settings["signIn"] == {
        "issuer": "https://login.example.com/tenant",
        "clientId": "console",
        "scope": "openid",
        "organizationClaim": "organizationId",
    }
    assert settings["organizations"] == []


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["console", *words]) == 2
    return capsys.readouterr().err


def test_a_stack_without_a_domain_is_named(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.stated["ConsoleDomain"] = ""
    message = refusal(capsys, "--stack", "s", "--write", str(tmp_path / "page"))
    assert message == "perminute: --write: s has no ConsoleDomain; deploy it with one first\n"


@pytest.mark.usefixtures("stack")
def test_a_folder_that_has_files_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").touch()
    message = refusal(capsys, "--stack", "s", "--write", str(tmp_path))
    assert message.endswith("is not empty; name a new folder\n")
    assert {file.name for file in tmp_path.iterdir()} == {"mine", "vega.0123.js"}


@pytest.mark.usefixtures("stack")
def test_without_charts_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise InstallationError("no network")

    monkeypatch.setattr(deployed_page, "chart_library", fail)
    message = refusal(capsys, "--stack", "s", "--write", str(tmp_path / "page"))
    assert message.endswith("page cannot be written: no network\n")
    assert not (tmp_path / "page").exists()


def test_only_a_stack_has_a_page_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, "examples/day", "--write", str(tmp_path))
    assert message == "perminute: --write: needs --stack NAME, whose page it is\n"
