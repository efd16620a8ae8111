"""`python -m perminute`: the command line, installed beside this package and never deployed."""

from perminute_local.cli import main

raise SystemExit(main())
