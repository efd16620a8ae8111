"""What is installed, here and in the layer, is what was locked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = sorted((ROOT / "layers").iterdir())
LOCKS = [
    *sorted((ROOT / "requirements").glob("*.lock")),
    *(layer / "requirements.txt" for layer in LAYERS),
]
REQUIREMENT = r"[\w.-]+(\[[\w,.-]+\])?==[\w.!+-]+( ; [^\\]+)?( --hash=sha256:[0-9a-f]{64})+"
"""One version (PEP 440), perhaps for some platforms only, and at least one hash."""


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.parent.name}/{lock.name}")
def test_every_requirement_is_one_version_with_its_hashes(lock: Path) -> None:
    text = re.sub(r"^ *#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    requirements = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    assert requirements
    assert [one for one in requirements if re.fullmatch(REQUIREMENT, one) is None] == []


def test_nothing_is_installed_without_comparing_hashes() -> None:
    installed = []
    for place in ROOT, ROOT / "functions", *LAYERS:
        recipe = (place / "Makefile").read_text().replace("\\\n", " ")
        commands = re.findall(r"\bpip\b[^\n]* install [^\n]*", recipe)
        installed += [one for one in commands if "--require-hashes" not in one]
    # Ourselves, without what we need: that is installed by then.
    (ours,) = installed
    assert re.search(r"--no-deps --no-build-isolation --editable \.$", ours)
