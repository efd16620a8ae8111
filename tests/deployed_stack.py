"""A built artifact, deployed on an emulator that runs its functions and enforces their roles."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute_local.deployed import clocked_emulator as launcher_script
from perminute_local.deployed.clock import EmulatorClock, emulator_clock
from perminute_local.deployed.deploying import Deployment, deploy
from perminute_local.deployed.faults import Faults, fault_proxy
from perminute_local.embedded_aws import (
    ROLES_ENFORCED,
    client_environment,
    embedded_aws,
    environment,
    free_port,
)
from perminute_local.replay.run import System, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute_local.replay.links import Links
    from perminute_local.replay.run import Plan

DAY = Path(__file__).parents[1] / "examples" / "day"
SENDER = "000000000000"
"""The account of the emulator."""
BEFORE_ALL = datetime(2026, 10, 1, tzinfo=UTC)


class Running(NamedTuple):
    """A deployed stack that receives records, and the clock of the AWS that it is deployed on.

    `asked_for` are its parameters that are not those of its stage.
    """

    deployment: Deployment
    time: EmulatorClock
    asked_for: Mapping[str, str]


@contextmanager
def deployed_on_an_emulator(template: Path, folder: Path) -> Iterator[Running]:
    """Roles are enforced."""
    with clocked_emulator(folder, ROLES_ENFORCED) as (_, time):
        yield _deployed(template, time)


@contextmanager
def deployed_among_faults(template: Path, folder: Path) -> Iterator[tuple[Running, Faults]]:
    """The functions alone reach AWS through the proxy; roles are not enforced, for it unsigns."""
    port = free_port()
    through = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    with (
        clocked_emulator(folder, through) as (endpoint, time),
        fault_proxy(port, endpoint, folder) as faults,
    ):
        yield _deployed(template, time), faults


def _deployed(template: Path, time: EmulatorClock) -> Running:
    asked_for = receiving()
    return Running(deploy(template, asked_for=asked_for), time, asked_for)


@contextmanager
def clocked_emulator(
    folder: Path, settings: Mapping[str, str]
) -> Iterator[tuple[str, EmulatorClock]]:
    port = free_port()
    ours = client_environment(f"http://127.0.0.1:{port}")
    with emulator_clock(folder / "clock", BEFORE_ALL) as time:
        launcher = (launcher_script.__file__, str(time.file))
        with (
            embedded_aws(launcher, {**ours, **settings}, port) as endpoint,
            environment(**client_environment(endpoint)),
        ):
            yield endpoint, time


def replayed(plan: Plan, links: Links) -> dict[str, Any]:
    """What a replay gives; events go by the ids that the file gives them, not by those of a bus.

    Nor by the account that sends them, which a bus adds: the file says none. E-mails name no stack:
    the two have names of their own.
    """
    results = System(links, plan.rate_card).replay(plan, advance=lambda _: None)
    text = json.dumps(results.document()).replace(f'"account": "{SENDER}"', '"account": null')
    for given, own in links.places(plan.deliveries).items():
        text = text.replace(f'#{given}"', f'#{own}"')
    text = re.sub(r"(?<=Sent by perminute, stack )[\w-]+", "NAME", text)
    document: dict[str, Any] = json.loads(text)
    for told in document["notifications"]:
        # The id of an event or of a run, which are others on a bus and in Lambda.
        del told["correlationId"]
    return document
