"""Redis as a source of pushes.

Owns: connections to Redis, replies, channels.
Must not import: the other edges but ``acknowledged_pushes``.
"""
