"""The environment of the emulator is made once, whole, from the lock file that is packaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perminute_local import embedded_aws
from perminute_local.packaged import EMULATOR_LOCK

Commands = list[list[str]]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    """Run nothing, outside a checkout: what would be run."""
    run: Commands = []

    def pretend(command: list[str], **_: object) -> None:
        run.append(command)
        if command[1:3] == ["-m", "venv"]:
            (Path(command[3]) / "bin").mkdir()
            (Path(command[3]) / "bin" / "python").touch()

    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(subprocess, "run", pretend)
    return run


def test_it_is_made_once_in_the_users_cache_and_announced(
    commands: Commands, tmp_path: Path
) -> None:
    said: list[str] = []
    embedded_aws.install(said.append)
    python = embedded_aws.interpreter()
    assert python is not None
    (place,) = (tmp_path / "cache" / "perminute").iterdir()
    assert python.parent.parent == place
    assert said == [f"perminute: installing the AWS emulator ministack into {place}, once"]
    assert commands[1][-4:] == [
        "install",
        "--require-hashes",
        "--requirement",
        str(EMULATOR_LOCK),
    ]
    embedded_aws.install(said.append)
    assert len(commands) == 2
    assert len(said) == 1


def test_what_could_not_be_made_leaves_nothing_and_says_what_to_do(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makes_a_venv: Any = subprocess.run

    def no_network(command: list[str], **options: object) -> None:
        makes_a_venv(command, **options)
        if "install" in command:
            said = "WARNING: Retrying\nERROR: No matching distribution found for ministack"
            raise subprocess.CalledProcessError(1, command, stderr=said)

    monkeypatch.setattr(subprocess, "run", no_network)
    with pytest.raises(embedded_aws.EmulatorNotInstalled) as failed:
        embedded_aws.install(lambda _: None)
    assert "ERROR: No matching distribution found for ministack. It is needed" in str(failed.value)
    assert "check the network" in str(failed.value)
    assert list((tmp_path / "cache" / "perminute").iterdir()) == []
    assert embedded_aws.interpreter() is None
    assert len(commands) == 2


def test_a_cache_that_cannot_be_written_is_named(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(embedded_aws.EmulatorNotInstalled, match=r"file/perminute.*XDG_CACHE_HOME"):
        embedded_aws.install(lambda _: None)
    assert commands == []


def test_one_whose_python_was_removed_by_an_upgrade_is_made_anew(
    commands: Commands, tmp_path: Path
) -> None:
    embedded_aws.install(lambda _: None)
    python = embedded_aws.interpreter()
    assert python is not None
    python.unlink()
    python.symlink_to(tmp_path / "python-that-was-upgraded")
    assert embedded_aws.interpreter() is None
    embedded_aws.install(lambda _: None)
    assert embedded_aws.interpreter() == python
    assert len(commands) == 4


def test_two_replays_that_make_it_at_once_share_the_first(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    makes: Any = subprocess.run

    def beaten(command: list[str], **options: object) -> None:
        makes(command, **options)
        if "install" in command:
            monkeypatch.setattr(subprocess, "run", makes)
            embedded_aws.install(lambda _: None)

    monkeypatch.setattr(subprocess, "run", beaten)
    embedded_aws.install(lambda _: None)
    python = embedded_aws.interpreter()
    assert python is not None
    assert list(python.parents[2].iterdir()) == [python.parents[1]]
    assert len(commands) == 4


@pytest.mark.usefixtures("commands")
def test_only_a_replay_installs_it() -> None:
    with (
        pytest.raises(
            embedded_aws.EmbeddedAwsError, match="elsewhere `perminute replay` installs it"
        ),
        embedded_aws.embedded_aws(),
    ):
        pytest.fail("there is no emulator")
