"""Prepaid, pay-per-minute charging for phone calls into meetings."""
