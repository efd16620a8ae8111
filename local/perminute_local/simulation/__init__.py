"""Simulated worlds in which everything fails that can (docs/adr/0013).

What happens is a `plan`, made by `workloads`. `simulator` runs it: `scheduler` owns the time,
`queues`, `bridges` and `billing` send and deliver, and every request of a function passes the fault
injector in `faults` on its way to one of the `backends`. `write_recorder` and `invariants` check
what must hold. `world` is one run, `command` the command line.
"""
