"""What is deployed, built for this machine: the functions run here as `sam build` leaves them.

Native code is of one platform and one Python, so the artifact for Lambda cannot run here. The same
Makefiles build another, which gets what Lambda brings along: the runtime client, as `bootstrap`.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

from perminute_local.packaged import TEMPLATE
from perminute_local.stack import load_template, resources

ROOT = TEMPLATE.parent
BUILD = ROOT / ".aws-sam" / "for-this-machine"
LAYER = "DependenciesLayer"


class ToolError(Exception):
    """A tool is not installed, or failed; the message has what it said."""


def build() -> Path:
    """Build functions and layer; returns the built template, which is deployed as it is."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    variables = {
        "PLATFORM": _platform(),
        "PYTHON_VERSION": version,
        "RUNTIME": f"python{version}",
    }
    overrides = " ".join(f"{name}={value}" for name, value in variables.items())
    run_sam("build", "--build-dir", str(BUILD), MAKEFLAGS=overrides)
    template = BUILD / "template.yaml"
    for name, _ in resources(load_template(template), "AWS::Serverless::Function"):
        bootstrap = BUILD / name / "bootstrap"
        bootstrap.write_text(_bootstrap(), encoding="utf-8")
        bootstrap.chmod(0o755)
    return template


def run_sam(*arguments: str, **variables: str) -> None:
    """Run the SAM command line in the checkout, as `make` has it."""
    folder = room("sam") / "bin"
    result = subprocess.run(  # noqa: S603 - our own environment's command
        [folder / "sam", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "SAM_CLI_TELEMETRY": "0",
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        msg = f"sam {arguments[0]} failed:\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
        raise ToolError(msg)


def _bootstrap() -> str:
    """Look for modules where Lambda does: the function, then its layer, then the runtime's."""
    python = shlex.quote(str(room("lambda") / "bin" / "python"))
    layer = shlex.quote(str(BUILD / LAYER / "python"))
    return (
        "#!/bin/sh\n"
        f'export PYTHONPATH="$LAMBDA_TASK_ROOT":{layer}\n'
        f'exec {python} -m awslambdaric "$_HANDLER"\n'
    )


def room(name: str) -> Path:
    """Find one of the environments beside ours."""
    folder = Path(sys.prefix) / name
    if not (folder / "bin" / "python").exists():
        msg = f"{name} is not installed; run `make .venv/{name}/.ready` once"
        raise ToolError(msg)
    return folder


def _platform() -> str:
    """Name this machine as pip does."""
    if sys.platform == "darwin":
        major = platform.mac_ver()[0].partition(".")[0]
        return f"macosx_{major}_0_{platform.machine()}"
    return f"manylinux2014_{platform.machine()}"
