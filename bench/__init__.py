"""Benchmarks of wampush. Each figure is shown next to a floor, measured in the same run.

Owns: the load generator and the floor (``native/``), the scenarios, the table, the stress run.
Must not import: wampush, which is measured from outside, as a process; only ``steps`` may.
"""
