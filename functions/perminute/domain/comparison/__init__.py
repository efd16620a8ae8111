"""Operators' records of calls, compared with the calls that were charged."""
