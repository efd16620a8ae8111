"""The books are held against each other."""
