"""Redis as what joins nodes.

Owns: the link of a node to Redis, and its probes.
Must not import: the other edges.
"""
