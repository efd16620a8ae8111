"""Keeps ministack from running functions by queues, streams and schedules: our drivers do that.

It runs in ministack's own environment, where its launchers install it. Mappings and schedules stay
enabled, as they are deployed: reading them is a task of Lambda, which our drivers replace.
"""

from __future__ import annotations

import importlib


def leave() -> None:
    """Start none of the emulator's pollers."""
    functions = vars(importlib.import_module("ministack.services.lambda_svc"))
    schedules = vars(importlib.import_module("ministack.services.scheduler"))
    functions["_ensure_poller"] = _start_nothing
    schedules["start_scheduler"] = _start_nothing


def _start_nothing() -> None:
    pass
