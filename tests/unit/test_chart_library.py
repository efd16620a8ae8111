"""The script that draws charts is made once, whole, and named after its content."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from perminute_local.console import charts
from perminute_local.console.page import page_files
from perminute_local.tool_environments import InstallationError, ToolEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCRIPT = b"window.vegaEmbed = 1;"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    run: list[list[str]] = []

    def bundle(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        run.append(command)
        return subprocess.CompletedProcess(command, 0, stdout=SCRIPT)

    def installed(_: ToolEnvironment, announce: Callable[[str], None]) -> Path:
        announce("installed")
        return tmp_path

    monkeypatch.setattr(ToolEnvironment, "install", installed)
    monkeypatch.setattr(subprocess, "run", bundle)
    return run


def test_it_is_made_by_the_environment_once_and_named_after_its_content(
    commands: list[list[str]], tmp_path: Path
) -> None:
    made = charts.chart_library(lambda _: None)
    assert made == tmp_path / f"vega.{hashlib.sha256(SCRIPT).hexdigest()[:16]}.js"
    assert made.read_bytes() == SCRIPT
    assert [command[0] for command in commands] == [str(tmp_path / "bin" / "python")]
    assert charts.chart_library(lambda _: None) == made
    assert len(commands) == 1
    assert list(tmp_path.iterdir()) == [made]


@pytest.mark.usefixtures("commands")
def test_what_cannot_be_made_leaves_nothing_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(InstallationError, match=f"{tmp_path}: .*; remove that folder"):
        charts.chart_library(lambda _: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("commands")
def test_the_page_names_the_script_and_may_do_without() -> None:
    made = charts.chart_library(lambda _: None)
    files = page_files(made)
    assert f'<meta name="charts" content="/{made.name}">'.encode() in files["index.html"].body
    assert files[made.name] == ("text/javascript; charset=utf-8", SCRIPT, True)
    assert b"charts" not in page_files(None)["index.html"].body
    assert not any(file.is_immutable for file in page_files(None).values())
