"""Worlds in which everything goes wrong that can (docs/adr/0013).

What happens: `plan` and its rate `cards`, and what `billing` answers. How it gets to the functions:
`bus` for events, `bridges` for requests, in the order of `happenings`. What they run over: a
`medium`, either `over_twins` (with `twin_functions`) or `over_moto`. What goes wrong: `faults`, at
the `gate` that every request passes. What must hold: `effects` as they are made, `expectations`
when all is quiet. `simulator` runs it all, `worlds` say which, `shrinking` makes a broken one
short, `command` tells.
"""
