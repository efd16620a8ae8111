"""The events that come in (docs/events.md), checked and turned into the words of the use cases.

A module for each source, so that a function makes the types of its own events only.
"""
