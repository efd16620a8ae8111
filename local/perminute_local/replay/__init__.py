"""Replay events through the functions of the template, on an embedded AWS."""
