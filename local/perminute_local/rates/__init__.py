"""Rate cards on the command line: quote, check, convert, publish and correct."""
