"""Call records of other systems on the command line: convert, compare, pull; their directory."""
