"""Arrows point inwards: read from the imports themselves."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from pictures import arrows_of, picture

PACKAGE = Path(__file__).parents[2] / "functions" / "perminute"
INNER_TO_OUTER = {
    "domain": (),
    "ports": ("domain", "ports"),
    "application": ("application", "domain", "ports"),
    "formats": ("formats", "domain"),
    "adapters": ("adapters", "domain", "formats", "ports", "settings"),
}


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
    return found


def modules(part: str) -> list[Path]:
    place = PACKAGE / part
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


@pytest.mark.parametrize("path", modules("domain"), ids=lambda path: path.name)
def test_the_domain_imports_the_standard_library_and_itself(path: Path) -> None:
    foreign = {name for name in imports(path) if not name.startswith("perminute.domain")}
    assert {name.split(".")[0] for name in foreign} <= sys.stdlib_module_names


@pytest.mark.parametrize("part", INNER_TO_OUTER)
def test_each_part_knows_only_what_lies_further_in(part: str) -> None:
    allowed = tuple(f"perminute.{name}" for name in (*INNER_TO_OUTER[part], "domain"))
    for path in modules(part):
        ours = {name for name in imports(path) if name.startswith("perminute.")}
        assert all(name.startswith(allowed) for name in ours), path


def test_the_picture_of_the_code_shows_all_imports_and_no_other() -> None:
    arrows = arrows_of(picture("Who depends on whom"))
    parts = {end for arrow in arrows for end in arrow}
    real = {
        (part_of(path), part_of_module(name))
        for path in PACKAGE.parent.rglob("*.py")
        for name in imports(path)
        if name.startswith("perminute.")
    }
    assert arrows - real == set()
    for one, other in real:
        if {one, other} <= parts and one != other:
            assert other in reachable(one, arrows), f"{one} imports {other}"


def part_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE.parent).parts
    return inside[1].removesuffix(".py") if inside[0] == PACKAGE.name else "handlers"


def part_of_module(name: str) -> str:
    return name.split(".")[1]


def reachable(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    found, new = set[str](), {start}
    while new:
        found |= new
        new = {other for one, other in arrows if one in new} - found
    return found


def test_no_float_comes_near_money() -> None:
    for name in (
        "money",
        "rate_card",
        "rate_card_csv",
        "rating",
        "usage_record",
        "accounts",
        "booking",
        "charging",
        "transaction_builder",
        "lots",
        "recharge",
        "pools",
        "rerating",
        "settling",
        "corrections",
        "ledger",
        "holds",
        "spending",
        "reservations",
        "authorization",
    ):
        (path,) = (*PACKAGE.glob(f"domain/*/{name}.py"), *PACKAGE.glob(f"formats/{name}.py"))
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), name
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), name
            assert not (isinstance(node, ast.Name) and node.id == "float"), name


def test_functions_never_import_boto3() -> None:
    for path in PACKAGE.parent.rglob("*.py"):
        assert not {name for name in imports(path) if name.split(".")[0] == "boto3"}, path
