"""What sessions and a node are, for another process that goes on with them.

Owns: their forms, and the steps on both sides.
Must not import: Twisted, the edges.
"""
