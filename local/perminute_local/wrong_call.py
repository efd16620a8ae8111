"""The error of a command that was called wrongly; it imports nothing, for a quick start."""

from __future__ import annotations


class WrongCall(Exception):  # noqa: N818 - what the user did, in the user's words
    """The command was called wrongly; the message says how it is called rightly."""
