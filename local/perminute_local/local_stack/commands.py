"""`perminute up` and `perminute down`: start and stop the stack of this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from perminute.formats.directory_csv import read_directory
from perminute_local.deployed.deploying import BUILD, ROOT, ToolError, build, room
from perminute_local.local_stack import LOCAL
from perminute_local.local_stack.place import NotUp, only_local, place_of_user
from perminute_local.local_stack.serving import Order
from perminute_local.rates.publishing import PreparedCard
from perminute_local.replay.plan import RATES
from perminute_local.terminal import remark, write_json, write_lines
from perminute_local.user_input import faults_of
from perminute_local.wrong_call import WrongCall, WrongFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.local_stack.place import Place, Served

DIRECTORY = "directory.csv"
EXAMPLE = ROOT / "examples" / "day"
SAMPLES = ROOT / "events" / "samples.jsonl"
SAMPLE_CALL = "b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21"

PROGRAM = "perminute"
SERVING = ("-m", "perminute_local.local_stack.serving")

UP_WITHIN_SECONDS = 180
DOWN_WITHIN_SECONDS = 15
POLL_SECONDS = 0.1


def up(folder: Path | None, *, as_json: bool) -> int:
    """Start the stack, unless it is up already, with the rate card and directory of a folder."""
    place = place_of_user()
    if place.holder() is not None:
        return _tell_already(place, folder, as_json=as_json)
    order = _order(folder or EXAMPLE)
    _clean(place)
    _build()
    _begin(place, order)
    served = place.served()
    if served is None:
        msg = f"the stack was up, and has stopped again; see {place.log}"
        raise NotUp(msg)
    _tell(served, as_json=as_json)
    return 0


def down(*, as_json: bool) -> int:
    """Stop the stack, and remove what it has left."""
    place = place_of_user()
    process = place.holder()
    if process is not None:
        _end(place, process)
    left = place.remove()
    if as_json:
        write_json({"wasUp": process is not None})
    elif process is not None:
        write_lines(["the stack is down: nothing of it runs, and its data is gone"])
    else:
        write_lines(["no stack was up" + ("; what one had left is removed" if left else "")])
    return 0


def _order(folder: Path) -> Order:
    if not (ROOT / "samconfig.toml").exists():
        msg = "perminute up builds the functions: run `make up` in a checkout of perminute"
        raise WrongCall(msg)
    rates, directory = folder / RATES, folder / DIRECTORY
    if not rates.exists():
        msg = f"{folder}: has no {RATES}, the rate card to publish; name a folder that has one"
        raise WrongFile(msg)
    with faults_of(rates):
        PreparedCard.of(rates.read_bytes(), LOCAL)
    if directory.exists():
        with faults_of(directory):
            read_directory(directory.read_bytes())
    named = str(directory.resolve()) if directory.exists() else None
    return Order(str(BUILD / "template.yaml"), str(rates.resolve()), named)


def _clean(place: Place) -> None:
    before = place.served()
    if place.remove() and before is not None:
        remark(f"perminute: the stack of {before.since} ended without `perminute down`; it is gone")


def _build() -> None:
    try:
        # sam deploys, too.
        for name in ("ministack", "lambda", "sam"):
            room(name)
        if _is_built():
            return
        remark("perminute: building the functions and their layer; this takes half a minute")
        build()
    except ToolError as error:
        msg = f"{error}. `make up` installs what is needed, and builds"
        raise WrongCall(msg) from error


def _is_built() -> bool:
    """Whether nothing has changed since the last build was complete."""
    template = BUILD / "template.yaml"
    if not template.exists() or not list(BUILD.glob("*/bootstrap")):
        return False
    built = template.stat().st_mtime
    sources = (ROOT / "template.yaml", *_files(ROOT / "functions"), *_files(ROOT / "layers"))
    return all(source.stat().st_mtime < built for source in sources)


def _files(folder: Path) -> Iterator[Path]:
    # Folders too: they alone show that a file was deleted.
    for path in (folder, *folder.rglob("*")):
        if "__pycache__" not in path.parts and "egg-info" not in str(path):
            yield path


def _begin(place: Place, order: Order) -> None:
    place.make()
    remark("perminute: starting the AWS emulator, and deploying; this takes a quarter of a minute")
    with place.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [
                *(sys.executable, *SERVING),
                *(str(place.lock_file.parent), json.dumps(order._asdict())),
            ],
            # Its own folder for what is temporary, which `down` removes, however it ends.
            env={**os.environ, "TMPDIR": str(place.folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_up(place, process)
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _wait_until_up(place: Place, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    while place.served() is None:
        if process.poll() is not None or time.monotonic() > deadline:
            lines = place.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            msg = f"the stack did not start: {lines[-1] if lines else 'no answer'} ({place.log})"
            raise NotUp(msg)
        time.sleep(POLL_SECONDS)


def _end(place: Place, process: int) -> None:
    """End the process that holds the lock, which is the one that serves the stack."""
    for how, seconds in ((signal.SIGTERM, DOWN_WITHIN_SECONDS), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.kill(process, how)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if place.holder() is None:
                return
            time.sleep(POLL_SECONDS)
    msg = f"process {process} does not end; see {place.log}"
    raise NotUp(msg)


def _tell_already(place: Place, folder: Path | None, *, as_json: bool) -> int:
    served = place.served()
    if served is None:
        msg = "the stack of this machine is being started already"
        raise NotUp(msg)
    if folder is not None and str((folder / RATES).resolve()) != served.rates:
        msg = f"the stack is up already, with {_shown(served.rates)}; run `perminute down` first"
        raise WrongCall(msg)
    remark(f"perminute: the stack is up already, since {served.since}; `perminute down` ends it")
    _tell(served, as_json=as_json)
    return 0


def _tell(served: Served, *, as_json: bool) -> None:
    if as_json:
        write_json({"stack": LOCAL, **served.document(), "environment": _keys(served)})
    else:
        write_lines(_lines(served))


def _keys(served: Served) -> dict[str, str]:
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    shown = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", *keys)
    variables = only_local(served.endpoint)
    return {name: value for name in shown if (value := variables[name]) is not None}


def _lines(served: Served) -> Iterator[str]:
    program = _program()
    made = ", ".join(f"{count} {name}" for name, count in served.made.items())
    yield f"The stack `{LOCAL}` is up at {served.endpoint}: {made}"
    yield f"  rate card  {_shown(served.rates)}"
    if served.directory is not None:
        yield f"  directory  {_shown(served.directory)}"
    yield "Try next:"
    for words in (
        f"send {_shown(str(SAMPLES))} --stack {LOCAL}",
        f"balance --organization contoso --stack {LOCAL}",
        f"explain {SAMPLE_CALL} --organization contoso --stack {LOCAL}",
        f"doctor --stack {LOCAL}",
        f"console --stack {LOCAL} --organization contoso",
        f"load --stack {LOCAL} --rate 50 --minutes 1",
        "down",
    ):
        yield f"  {program} {words}"
    yield "For aws and sam, in this shell only:"
    yield "  export " + " ".join(f"{name}={value}" for name, value in _keys(served).items())


def _program() -> str:
    """Return how to call this program: after `make up` alone it is not on the PATH."""
    ours = str(Path(sys.prefix) / "bin" / PROGRAM)
    return PROGRAM if shutil.which(PROGRAM) == ours else _shown(ours)


def _shown(path: str) -> str:
    with suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return path
