"""Committed notifications are published."""
