"""Stores of what topics keep.

Owns: the journal of durable topics in SQLite, and its thread. Must not import: the other edges.
"""
