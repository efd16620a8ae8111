"""Licensing events become facts."""
