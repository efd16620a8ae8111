"""Writes the files of the repository that are made from the code, and the day of the examples."""
