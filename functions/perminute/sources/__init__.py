"""Readers of other systems' call records (docs/sources.md): one module for each source, all pure.

A record becomes a leg, a skip (by design) or a problem (an operator must act): `outcomes`. A reader
divides a file into records (`json_files`, `csv_files`), and says of each what it states
(`stated_call`). What is the same for all sources comes after it: who pays (`resolve`), and whether
the call was read before (`identity`). `convert` puts them together, `registry` lists the sources.
"""
