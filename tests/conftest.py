"""Fixtures that several kinds of test use: the template's own resources on moto and ministack."""

from __future__ import annotations

import gc
import json
import uuid
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore import hooks
from botocore.hooks import EventAliaser
from botocore.loaders import JSONFileLoader, Loader
from cfnlint.decode import decode  # type: ignore[import-untyped] # it ships no annotations
from hypothesis import HealthCheck, settings
from moto.cloudformation import models as cloudformation
from moto.core.base_backend import BaseBackend
from moto.core.serialize import XFormedAttributePicker
from moto.core.utils import method_names_from_class
from moto.kms import utils as kms
from stacks_on_moto import StacksOnMoto

from perminute.adapters.service_models import _Files
from perminute_local.embedded_aws import client_environment, embedded_aws, environment
from perminute_local.replay.lambda_runtime import QUIET
from perminute_local.stack import Stack, Template, create_stack, load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from moto.core.serialize import AttributePickerContext

# How long an example takes says how busy the machine is, not whether the code is right: what must
# be fast is measured by `make bench`. `@settings` of a test add to this; a profile named on the
# command line is loaded later, and takes its place.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")


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


def pytest_collection_finish() -> None:
    """Look for garbage more rarely, and not among what is imported and collected.

    That is millions of objects, none of which is ever garbage: a fifth of the suite was spent on
    going through them again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _what_never_differs_is_made_once() -> Iterator[None]:
    """Have botocore and moto make once what is the same in each of hundreds of tests.

    botocore lists and parses its models of services for each session, and looks for the names that
    each of its events had before; moto reads a template as YAML and makes an RSA key for each
    stack, and looks for the paths and methods of a service at each request, and for the names that
    each part of an answer may have. A test whose handler has all of these would take half a second
    more. And our template is read as YAML once.
    """
    urls, alias = vars(BaseBackend)["urls"].fget, vars(EventAliaser)["_alias_event_name"]
    keys = XFormedAttributePicker.get_possible_keys
    with (
        patch.object(JSONFileLoader, "load_file", _once(JSONFileLoader.load_file)),
        patch.object(_Files, "load_file", _once(_Files.load_file)),
        patch.object(Loader, "list_available_services", _once(Loader.list_available_services)),
        patch.object(EventAliaser, "_alias_event_name", _once(alias)),
        patch.object(hooks, "accepts_kwargs", _once_for_each_code(hooks.accepts_kwargs)),
        patch.object(BaseBackend, "urls", property(_once_for_each_class(urls))),
        patch("moto.core.responses.method_names_from_class", cache(method_names_from_class)),
        patch("perminute_local.stack.decode", _once_for_each_content(decode)),
        patch.object(XFormedAttributePicker, "get_possible_keys", _once_for_each_shape(keys)),
        patch("moto.kms.models.generate_private_key", cache(kms.generate_private_key)),
        patch.object(cloudformation.Stack, "parse_template", staticmethod(json.loads)),
    ):
        yield


def _once(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that does its work once for what it is asked, whichever object is asked.

    The objects are equal: each reads what comes with botocore.
    """
    found: dict[str, Any] = {}

    @wraps(method)
    def once(one: Any, *said: Any, **named: Any) -> Any:
        (asked,) = *said, *named.values()
        if asked not in found:
            found[asked] = method(one, asked)
        return found[asked]

    return once


def _once_for_each_class(getter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a getter that does its work once for all objects of a class: it is the same."""
    found: dict[type, Any] = {}

    def once(one: Any) -> Any:
        if type(one) not in found:
            found[type(one)] = getter(one)
        return found[type(one)]

    return once


def _once_for_each_code(judge: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that judges a handler once, whichever object's method it is.

    By its code: kept by handler, each client that is made would be kept with its methods.
    """
    found: dict[Any, Any] = {}

    def once(handler: Any) -> Any:
        code = getattr(handler, "__code__", None)
        if code is None:
            return judge(handler)
        if code not in found:
            found[code] = judge(handler)
        return found[code]

    return once


def _once_for_each_shape(
    keys: Callable[[Any, AttributePickerContext], Iterator[str]],
) -> Callable[[Any, AttributePickerContext], Iterable[str]]:
    """Return a method that looks once for the names that a part of a dictionary may have."""
    found: dict[tuple[Any, str], tuple[str, ...]] = {}

    def once(one: Any, context: AttributePickerContext) -> Iterable[str]:
        if type(context.obj) is not dict:  # an object's class has a part in it
            return keys(one, context)
        part = context.shape, context.key
        if part not in found:
            found[part] = tuple(keys(one, context))
        return found[part]

    return once


def _once_for_each_content(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a reader that reads a file once, as long as it says the same."""
    found: dict[bytes, Any] = {}

    def once(path: str) -> Any:
        content = Path(path).read_bytes()
        if content not in found:
            found[content] = read(path)
        return found[content]

    return once


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
