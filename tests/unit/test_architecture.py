"""Arrows point inwards: read from the imports themselves."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from functools import cache
from pathlib import Path

import pytest
from pictures import ARCHITECTURE, arrows_of, picture

PACKAGE = Path(__file__).parents[2] / "functions" / "perminute"
INNER_TO_OUTER = {
    "domain": (),
    "ports": ("domain", "ports"),
    "application": ("application", "domain", "ports", "sources"),
    "formats": ("formats", "domain"),
    "sources": ("sources", "domain", "fields", "parsing"),
    "adapters": ("adapters", "domain", "formats", "ports", "settings"),
}


@cache
def imports(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
    return frozenset(found)


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
        "current_usages",
        "usage_sums",
        "basis",
        "costs",
        "search",
        "advice",
        "what_if",
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


def test_the_map_of_the_code_names_every_part_of_the_package() -> None:
    lines = _block("map")
    top = _names_on(lines, indentation=2)
    assert top == {part_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in PACKAGE.glob("domain/*/__init__.py")}
    assert _names_on(lines, indentation=4) == packages
    assert len(lines) <= 50, "the map fits one screen"


def test_each_step_of_a_walk_is_a_function_that_the_one_before_it_mentions() -> None:
    walks = re.findall(r"```walk\n(.*?)```", ARCHITECTURE.read_text(), re.DOTALL)
    assert len(walks) == 10
    for walk in walks:
        above: list[tuple[int, set[str]]] = []
        for line in walk.splitlines():
            name, path = line.split()
            indentation = len(line) - len(line.lstrip())
            above = [(outer, names) for outer, names in above if outer < indentation]
            mentioned = above[-1][1] if above else None
            assert mentioned is None or mentioned & _called(name), f"nothing calls {line.strip()}"
            above.append((indentation, _mentioned(PACKAGE.parent / path, name)))


def _block(language: str) -> list[str]:
    return (
        ARCHITECTURE.read_text().partition(f"```{language}\n")[2].partition("```")[0].splitlines()
    )


def _names_on(lines: list[str], *, indentation: int) -> set[str]:
    """The names on the lines so far in: those before the two spaces that begin the explanation."""
    of_package = lines[lines.index("functions/perminute/") + 1 :]
    inside = itertools.takewhile(lambda line: line.startswith(" "), of_package)
    return {
        name
        for line in inside
        if len(line) - len(line.lstrip()) == indentation
        for name in line.strip().partition("  ")[0].split()
    }


def _called(name: str) -> set[str]:
    """How a call of a function reads: an instance of a use case is called by its own name."""
    owner, _, function = name.rpartition(".")
    if function != "__call__":
        return {function}
    return {owner, re.sub(r"(?<!^)(?=[A-Z])", "_", owner).lower()}


def _mentioned(path: Path, name: str) -> set[str]:
    body: list[ast.stmt] = ast.parse(path.read_text()).body
    for part in name.split("."):
        found = [node for node in body if part in _defined(node)]
        assert found, f"there is no {name} in {path}"
        body = getattr(found[0], "body", found)
    nodes = [node for statement in found for node in ast.walk(statement)]
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()
