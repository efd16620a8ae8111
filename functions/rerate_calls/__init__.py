"""Calls that a late change concerns are rated again."""
