"""Statements of a month as people read, print and file them: one content, as PDF and as HTML."""
