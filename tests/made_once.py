"""What botocore and moto make anew for each test, and is the same: made once for all.

botocore lists and parses its models of services for each session, and looks for the names that
each of its events had before; moto reads a template as YAML and makes an RSA key for each stack,
and looks for the paths and methods of a service at each request, and for the names that each part
of an answer may have. A test whose handler has all of these would take half a second more. And our
template is read as YAML once.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from botocore import hooks
from botocore.hooks import EventAliaser
from botocore.loaders import JSONFileLoader, Loader
from cfnlint.decode import decode  # type: ignore[import-untyped] # it ships no annotations
from moto.cloudformation import models as cloudformation
from moto.core.base_backend import BaseBackend
from moto.core.serialize import XFormedAttributePicker
from moto.core.utils import method_names_from_class
from moto.kms import utils as kms

from perminute.adapters.service_models import _Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from moto.core.serialize import AttributePickerContext


@contextmanager
def made_once() -> Iterator[None]:
    """Make each once within the context."""
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
