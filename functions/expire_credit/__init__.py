"""Prepaid credit expires, and overdue calls and digests are processed, once a day."""
