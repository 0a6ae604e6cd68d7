"""Measures wampush, each figure beside a floor that was measured in the same run.

Owns: the load generator and the floor (``native/``), the scenarios, the table, the stress run.
Must not import: wampush, which is measured from outside, as a process; only ``steps`` may.
"""
