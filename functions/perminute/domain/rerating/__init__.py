"""Calls that are rated again because licenses or rates turned out to be others."""
