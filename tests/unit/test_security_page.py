"""The threat model names tests, parameters and headings: each of them is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perminute_local.stack import load_template

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
POLICY = ROOT / "SECURITY.md"
TEXT = PAGE.read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
THREATS = "| threat | what stops it | shown by |"
DUTIES = "| parameter | default | for production |"


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file, without importing it."""
    return frozenset(
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def tables(heading: str) -> Iterator[list[list[str]]]:
    """Return the rows of each table that has this heading, as cells."""
    for after in TEXT.split(f"{heading}\n")[1:]:
        lines = after.split("\n\n")[0].splitlines()[1:]
        yield [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def anchors_of(path: Path) -> frozenset[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    assert (ROOT / file).is_file()
    assert test in names_in(ROOT / file)


def test_no_test_is_named_in_another_way() -> None:
    # What the pattern above does not read, nobody would look for.
    assert len(NAMED) >= 50
    assert set(re.findall(r"\w+::\w+", TEXT)) == {f"py::{test}" for _, test in NAMED}
    named = dict.fromkeys(re.findall(r"`(tests/[^:`]+)`", TEXT))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_whatever_is_said_to_be_stopped_names_the_test_that_shows_it() -> None:
    # What no test shows stands below the table, as what is not stopped.
    rows = [row for table in tables(THREATS) for row in table]
    assert len(rows) >= 40
    for row in rows:
        assert len(row) == 3, row
        assert re.fullmatch(r"`tests/[^`]+::test_\w+`(, `tests/[^`]+::test_\w+`)*", row[2]), row


def test_each_threat_says_what_is_not_stopped() -> None:
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    threats = [one for one in sections if THREATS in one]
    assert len(threats) >= 9
    assert [one.partition("\n")[0] for one in threats if "\nNot stopped:" not in one] == []


def test_what_the_operator_sets_are_parameters_with_those_defaults() -> None:
    parameters = load_template()["Parameters"]
    (duties,) = tables(DUTIES)
    for names, defaults, _ in duties:
        named = re.findall(r"`(\w+)`", names)
        values = [one.strip("`") for one in defaults.split(", ")]
        # One value may be that of several parameters.
        values *= len(named) if len(values) == 1 else 1
        stated = dict(zip(named, ["" if one == "none" else one for one in values], strict=True))
        assert stated == {name: str(parameters[name]["Default"]) for name in named}


def test_every_resource_that_it_names_is_in_the_template() -> None:
    template = load_template()
    endings = "Table|Queue|Letters|Function|Role|Bucket|Topic|Bus|Api"
    named = set(re.findall(rf"`([A-Z]\w*(?:{endings}))`", TEXT)) - set(template["Parameters"])
    assert len(named) >= 15
    assert named - set(template["Resources"]) == set()


@pytest.mark.parametrize("page", [PAGE, POLICY], ids=lambda page: page.name)
def test_no_link_leads_to_a_heading_that_is_not_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    assert links
    for link in links:
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@pytest.mark.parametrize(
    ("document", "link"),
    [
        ("README.md", "(SECURITY.md)"),
        ("README.md", "(docs/security.md)"),
        ("CONTRIBUTING.md", "(docs/security.md)"),
        ("SECURITY.md", "(docs/security.md)"),
        ("docs/access.md", "(security.md)"),
        ("docs/runbook.md", "(security.md#mint-credit)"),
    ],
)
def test_who_looks_for_it_finds_it(document: str, link: str) -> None:
    assert link in (ROOT / document).read_text()
