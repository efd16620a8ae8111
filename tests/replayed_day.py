"""The day of the demo, and the AWS that its replay leaves."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from perminute_local.embedded_aws import client_environment, environment
from perminute_local.replay.command import replayed
from perminute_local.replay.plan import Disturbance
from perminute_local.replay.run import read_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.replay.links import InProcess
    from perminute_local.replay.results import Results

DAY = Path(__file__).parents[1] / "examples" / "day"


class ReplayedDay(NamedTuple):
    """What came of it, the functions, and how clients find the AWS that they ran on."""

    results: Results
    links: InProcess
    client_environment: dict[str, str]


@contextmanager
def kept() -> Iterator[ReplayedDay]:
    """Replay it; its AWS is there for as long as the context lasts, for those who look for it."""
    plan = read_plan(DAY, batch_size=None, disturbance=Disturbance())
    before = {name: os.environ.get(name) for name in client_environment("")}
    with replayed(plan, hide_progress=True) as (results, links):
        of_the_day = {name: os.environ[name] for name in before}
        # Other tests have an AWS of their own.
        with environment(**before):
            yield ReplayedDay(results, links, of_the_day)
