"""Telephony's events become charges."""
