"""`pip install .` gives a whole command line, and the functions' layer only what they import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = "functions", "local"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_OF_PYTHON = {
    "py.typed",
    "event_page.md",
    "cost_by_day.json",
    "page.html",
    "statement.typ",
    "prices.toml",
    *(file.name for file in (ROOT / "local/perminute_local/console/static").iterdir()),
    "template.yaml",
    "ministack.lock",
    "console.lock",
}
FROM_CHECKOUT = {"perminute_local.bench", "perminute_local.deployed"}
"""What needs the checkout's tools or tests anyway, such as `make bench` and `make e2e`."""
IMPORTED_AS = {
    "aws-lambda-powertools": "aws_lambda_powertools",
    "cfn-lint": "cfnlint",
    "vl-convert-python": "vl_convert",
}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", one)[0] for one in requirements}


def layer_of(name: str) -> set[str]:
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return {line for line in lines if not line.startswith("#")}


def imported(folder: str) -> set[str]:
    """Packages that are imported anywhere, but for annotations alone, and are not ours."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
        if not any(module.startswith(one) for one in FROM_CHECKOUT):
            found |= set(_imports(ast.parse(path.read_text())))
    ours = {
        path.parent.name for source in SOURCES for path in (ROOT / source).glob("*/__init__.py")
    }
    return found - ours - set(sys.stdlib_module_names)


def _imports(within: ast.AST) -> list[str]:
    if isinstance(within, ast.If) and getattr(within.test, "id", "") == "TYPE_CHECKING":
        return []
    found = []
    if isinstance(within, ast.Import):
        found += [one.name for one in within.names]
    if isinstance(within, ast.ImportFrom) and within.module:
        found.append(within.module)
    found = [name.partition(".")[0] for name in found]
    return found + [name for part in ast.iter_child_nodes(within) for name in _imports(part)]


def test_the_layers_hold_what_functions_import_and_an_installation_has_it_too() -> None:
    of_all, of_statements = layer_of("functions"), layer_of("statements")
    needed = {IMPORTED_AS.get(name, name) for name in of_all | of_statements}
    assert needed == imported("functions")
    assert of_all < names(PROJECT["dependencies"])
    assert of_statements == names(PROJECT["optional-dependencies"]["statements"])


def test_an_installation_has_what_the_command_line_imports() -> None:
    installed = {IMPORTED_AS.get(name, name) for name in names(PROJECT["dependencies"])}
    # `simulate --over moto` alone is for those who work on perminute, and says so.
    assert imported("local") - installed == {"moto"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy, since building leaves its traces where it is done."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = ["pyproject.toml", "README.md", "LICENSE", "NOTICE", "template.yaml"]
    tracked += ["requirements", *SOURCES]
    copy = ["cp", "-R", "-P", *(str(ROOT / name) for name in tracked), str(source)]
    subprocess.run(copy, check=True)  # noqa: S603 - our own files
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    build += ["--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)  # noqa: S603 - our own project
    (built,) = folder.iterdir()
    return zipfile.ZipFile(built)


def test_a_wheel_holds_every_module_and_the_files_that_are_read_at_run_time(
    wheel: zipfile.ZipFile,
) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(ROOT / source))
        for source in SOURCES
        for path in (ROOT / source).rglob("*")
        if path.suffix == ".py" or path.name in NOT_OF_PYTHON
    }
    assert {name.rpartition("/")[2] for name in expected if not name.endswith(".py")} == (
        NOT_OF_PYTHON
    )
    assert held == expected


def test_a_wheel_holds_copies_of_what_stands_elsewhere_in_the_checkout(
    wheel: zipfile.ZipFile,
) -> None:
    template = wheel.read("perminute_local/packaged/template.yaml")
    assert template == (ROOT / "template.yaml").read_bytes()
    for name in ("ministack.lock", "console.lock"):
        lock = wheel.read(f"perminute_local/packaged/{name}")
        assert lock == (ROOT / "requirements" / name).read_bytes()


def test_a_wheel_holds_the_license_and_the_notice(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert "License-Expression: Apache-2.0" in wheel.read(metadata).decode()
    for name in ("LICENSE", "NOTICE"):
        assert (
            wheel.read(metadata.replace("METADATA", f"licenses/{name}"))
            == (ROOT / name).read_bytes()
        )
