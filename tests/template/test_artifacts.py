"""What `sam build` makes of the functions, by the very Makefiles that it runs."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from perminute_local.stack import Template, resources

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
LAYERS = ROOT / "layers"
LAYER = LAYERS / "dependencies"


def build(function: str, artifacts: Path) -> Path:
    """Run the target that SAM runs, from another folder as SAM does."""
    subprocess.run(  # noqa: S603 - our own Makefile
        ["make", "--makefile", str(FUNCTIONS / "Makefile"), f"build-{function}"],  # noqa: S607
        cwd=artifacts,
        env={**os.environ, "ARTIFACTS_DIR": str(artifacts / function)},
        check=True,
        capture_output=True,
    )
    return artifacts / function


@pytest.fixture(scope="module")
def artifacts(template: Template, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where each function was built, by its logical id."""
    folder = tmp_path_factory.mktemp("artifacts")
    functions = resources(template, "AWS::Serverless::Function")
    return {name: build(name, folder) for name, _ in functions}


def files(folder: Path) -> set[str]:
    """The files that matter: bytecode is there or not, by the Python that is at hand."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def source(folder: str) -> set[str]:
    return {f"{folder}/{name}" for name in files(FUNCTIONS / folder)}


def test_an_artifact_holds_its_own_handler_our_package_and_nothing_else(
    template: Template, artifacts: dict[str, Path]
) -> None:
    built, expected = {}, {}
    for name, function in resources(template, "AWS::Serverless::Function"):
        folder, module, _ = function["Properties"]["Handler"].split(".")
        assert (FUNCTIONS / folder / f"{module}.py").is_file()
        built[name] = files(artifacts[name])
        expected[name] = source(folder) | source("perminute") | {"perminute/dependencies.sha256"}
    assert built == expected


def test_a_changed_layer_changes_the_artifact_of_every_function(
    template: Template, artifacts: dict[str, Path]
) -> None:
    # Without it a change of the layer alone would not be published behind the alias.
    def digest(*layers: str) -> str:
        makes_them = b"".join(
            (LAYERS / layer / name).read_bytes()
            for layer in layers
            for name in ("requirements.txt", "Makefile")
        )
        return hashlib.sha256(makes_them).hexdigest()

    functions = dict(resources(template, "AWS::Serverless::Function"))
    digests = {
        name: (artifacts[name] / "perminute" / "dependencies.sha256").read_text().strip()
        for name in functions
    }
    assert digests == {
        name: digest("dependencies", *(["statements"] * ("Layers" in function["Properties"])))
        for name, function in functions.items()
    }


def test_the_layer_keeps_the_models_of_every_service_that_is_called() -> None:
    # A model that the layer prunes is missing in production only.
    composed = [FUNCTIONS / "perminute" / "aws.py", *FUNCTIONS.glob("perminute/bootstrap/*.py")]
    code = "".join(path.read_text() for path in composed)
    called = {"dynamodb", *re.findall(r'\.client\("([a-z0-9-]+)"[,)]', code)}
    kept = re.findall(r"^SERVICES := (.+)$", (LAYER / "Makefile").read_text(), re.MULTILINE)
    assert [set(services.split()) for services in kept] == [called]
