"""The command line: data goes to standard output, everything else to standard error.

Exit 0: done; 1: the answer is no; 2: the call was wrong; 130: interrupted. A module of this package
declares the commands of one subject and calls what does the work, which it imports only then:
`perminute --help` and `perminute quote` start without AWS clients, tables and templates.
"""

from perminute_local.cli.program import main

__all__ = ["main"]
