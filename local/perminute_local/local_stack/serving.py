"""The process that serves the stack of this machine; `perminute up` starts it.

It runs the emulator, deploys the built template on it, publishes a rate card and a directory, and
runs functions in place of Lambda until it gets the signal to end. The emulator ends with it.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
import traceback
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from perminute.domain.values.times import format_instant
from perminute_local.deployed import lasting_emulator
from perminute_local.deployed.deploying import deploy
from perminute_local.deployment import resources_of
from perminute_local.embedded_aws import (
    ROLES_ENFORCED,
    client_environment,
    embedded_aws,
    environment,
    free_port,
)
from perminute_local.local_stack import LOCAL
from perminute_local.local_stack.driving import drive, log
from perminute_local.local_stack.place import Place, Served, only_local
from perminute_local.records.publish_directory import publish_directory
from perminute_local.replay.run import publish_rate_card

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from perminute_local.deployed.deploying import Deployment

CHECK_SECONDS = 1.0
PARAMETERS = {
    "DropBucket": "true",
    "EventArchiveDays": "35",
    "NumbersKeptDays": "90",
    "UsageArchiveDays": "3650",
}
"""Parameters that cost or change something on AWS, and can be tried here."""
COUNTED = {
    "AWS::Lambda::Function": "functions",
    "AWS::SQS::Queue": "queues",
    "AWS::DynamoDB::Table": "tables",
}


class Order(NamedTuple):
    """What to serve: a built template, a rate card, and a directory if there is one."""

    template: str
    rates: str
    directory: str | None


def serve(place: Place, order: Order, announce: Callable[[str], None]) -> NoReturn:
    """Create the stack, record that it is up, and serve it until this process gets a signal."""
    port = free_port()
    ours = client_environment(f"http://127.0.0.1:{port}")
    launcher = (lasting_emulator.__file__,)
    with (
        place.held(),
        embedded_aws(launcher, {**ours, **ROLES_ENFORCED}, port) as endpoint,
        environment(**only_local(endpoint)),
    ):
        announce("deploying")
        deployment = deploy(Path(order.template), asked_for=PARAMETERS, named=LOCAL)
        _publish(deployment, order)
        drive(deployment)
        place.serve(_served(endpoint, order))
        _stay(place, endpoint)


def _publish(deployment: Deployment, order: Order) -> None:
    publish_rate_card(Path(order.rates).read_bytes(), deployment.stack)
    if order.directory is not None:
        bucket = deployment.stack.setting("RATE_CARD_BUCKET")
        publish_directory(Path(order.directory), bucket, LOCAL, as_json=False)


def _served(endpoint: str, order: Order) -> Served:
    kinds = Counter(COUNTED.get(resource.kind) for resource in resources_of(LOCAL))
    return Served(
        endpoint=endpoint,
        since=format_instant(datetime.now(UTC)),
        rates=order.rates,
        directory=order.directory,
        made={name: kinds[name] for name in COUNTED.values()},
    )


def _stay(place: Place, endpoint: str) -> NoReturn:
    port = urlsplit(endpoint).port
    while True:
        if place.served() is None:
            # No command could find or stop it any more.
            sys.exit("the folder of this stack has been removed")
        # Raises an error if there is no answer, which means that the emulator has ended.
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
        time.sleep(CHECK_SECONDS)


def main() -> None:
    """Serve what the arguments name: the place, and the order as JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    place, order = Place(Path(sys.argv[1])), Order(**json.loads(sys.argv[2]))
    try:
        serve(place, order, log)
    except Exception as error:  # noqa: BLE001 - `up` shows the last line, whatever it is
        log(traceback.format_exc())
        log(f"{type(error).__name__}: {_last_line(str(error))}")
        sys.exit(1)


def _last_line(text: str) -> str:
    """Return why a tool failed: before it stands all that it said until then."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


if __name__ == "__main__":
    main()
