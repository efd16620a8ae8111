"""Keeps ministack from running functions by queues, streams and schedules, which our drivers do.

It runs in ministack's own environment, where its launchers install it. Mappings and schedules stay
enabled, as they are deployed: what reads them is a part of Lambda, and so of who stands in for it.
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
