"""Fixtures that several kinds of test use: the template's own resources on moto and ministack."""

from __future__ import annotations

import gc
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from stacks_on_moto import StacksOnMoto

from perminute_local.embedded_aws import client_environment, embedded_aws, environment
from perminute_local.replay.lambda_runtime import QUIET
from perminute_local.stack import Stack, Template, create_stack, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator


# How long an example takes says how busy the machine is, not whether the code is right: what must
# be fast is measured by `make bench`. `@settings` of a test add to this; a profile named on the
# command line is loaded later, and takes its place.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")
settings.register_profile("thorough", settings.get_profile("unhurried"), max_examples=300)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--dynamodb-local",
        metavar="ENDPOINT",
        help="run the contract tests over this DynamoDB, and no other (make conformance)",
    )
    parser.addoption(
        "--fuzz-inputs",
        type=int,
        default=2_000,
        help="how many inputs the doors are tried with, together (make fuzz)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for garbage more rarely, and not among what is imported and collected.

    That is millions of objects, none of which is ever garbage: a fifth of the suite was spent on
    going through them again and again.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that look at the replayed day: so one worker replays it, and not each."""
    items.sort(key=lambda item: "_replayed_day" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def _what_never_differs_is_made_once() -> Iterator[None]:
    # Imported here: what starts the workers has no test, and would wait for moto.
    from perminute_local.quick_moto import quick_moto  # noqa: PLC0415

    with quick_moto():
        yield


@pytest.fixture(scope="session")
def template() -> Template:
    return load_template()


@pytest.fixture(scope="session")
def stacks_on_moto(template: Template) -> StacksOnMoto:
    return StacksOnMoto(template)


@pytest.fixture
def moto_stack(stacks_on_moto: StacksOnMoto) -> Iterator[Stack]:
    """The template's tables, queues and bucket on moto, empty; it cannot make rules of a bus."""
    with stacks_on_moto.new() as stack:
        yield stack


@pytest.fixture(scope="session")
def _ministack(template: Template) -> Iterator[tuple[str, Stack]]:
    with embedded_aws() as endpoint:
        with environment(**client_environment(endpoint)):
            stack = create_stack(template)
        yield endpoint, stack


@pytest.fixture
def ministack_stack(_ministack: tuple[str, Stack]) -> Iterator[Stack]:
    """The same on ministack, shared by all tests: each keeps to an organization of its own."""
    endpoint, stack = _ministack
    with environment(**client_environment(endpoint), **QUIET):
        yield stack


@pytest.fixture
def organization() -> str:
    """An organization that no other test knows."""
    return f"org-{uuid.uuid4()}"
