"""How listening ports accept connections.

Owns: the connections that they make, and what they log when they cannot.
Must not import: the broker, the edges.
"""
