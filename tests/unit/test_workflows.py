"""The workflows of .github: what they run exists, and what they use cannot change under them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped] # it ships no annotations

from perminute_local.cli.program import program

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def jobs(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text())["jobs"])


def steps() -> Iterator[dict[str, Any]]:
    for path in WORKFLOWS:
        for job in jobs(path).values():
            yield from job.get("steps", [])


def test_every_action_is_named_by_its_commit() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_unless_a_job_says_more(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
    for job in jobs(path).values():
        assert "uses" in job or job["timeout-minutes"] <= 120


def test_what_is_run_exists() -> None:
    for line in (step["run"] for step in steps() if "run" in step):
        for target in re.findall(r"\bmake ([a-z0-9-]+)", line):
            assert target in TARGETS
        for script in re.findall(r"(?<!\S)\.ci/[\w-]+", line):
            assert (ROOT / script).stat().st_mode & 0o100
        for name, options in re.findall(r"bin/perminute (\w+)([^\n]*)", line):
            known = {option for p in program.commands[name].params for option in p.opts}
            assert set(re.findall(r"--[a-z-]+", options)) <= known


def test_production_waits_for_dev_and_dev_for_the_checks() -> None:
    delivered = jobs(ROOT / ".github" / "workflows" / "deliver.yml")
    assert (delivered["dev"]["needs"], delivered["prod"]["needs"]) == ("check", "dev")
    assert [delivered[stage]["environment"] for stage in ("dev", "prod")] == ["dev", "prod"]


@pytest.mark.parametrize(
    ("tag", "heading", "expected"),
    [
        ("v1.2.3", "## 1.2.3 (2026-12-01)", "\nWhat is new.\n\n"),
        ("v1.2.3", "## 1.2.3 (unreleased)", 'no heading "## 1.2.3 (YYYY-MM-DD)"'),
        ("v1.2.4", "## 1.2.4 (2026-12-01)", "another version than 1.2.4"),
    ],
)
def test_a_release_says_what_the_changelog_says_of_it(
    tmp_path: Path, tag: str, heading: str, expected: str
) -> None:
    (tmp_path / ".ci").mkdir()
    script = tmp_path / ".ci" / "release-notes"
    script.write_bytes((ROOT / ".ci" / "release-notes").read_bytes())
    script.chmod(0o755)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changes\n\n{heading}\n\nWhat is new.\n\n## 1.2.2 (2026-11-01)\n\nOlder.\n"
    )
    done = subprocess.run([script, tag], capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    assert expected in (done.stdout if done.returncode == 0 else done.stderr)
    assert "Older" not in done.stdout
