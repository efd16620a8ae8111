"""Texts that people write or read: rate cards as CSV, and the texts of notifications."""
