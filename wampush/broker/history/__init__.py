"""History: which publications topics keep, and what sessions get of them later.

Owns: the rules, the logs of topics in memory, replays and recovery; the contract of a store.
Must not import: Twisted, the edges. The store of durable topics is in ``edges.storage``.
"""
