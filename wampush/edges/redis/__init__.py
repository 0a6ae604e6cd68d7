"""Redis as a source of pushes.

Owns: connections to Redis servers, replies, channels.
Must not import: the other edges.
"""
