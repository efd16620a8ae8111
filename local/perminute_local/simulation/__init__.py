"""The functions' real handlers in a world of ours: in memory, by our clock, with our faults."""
