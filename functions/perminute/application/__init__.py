"""One use case a file: load, decide (in the domain), commit."""
