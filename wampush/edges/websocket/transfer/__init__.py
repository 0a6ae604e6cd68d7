"""What connections are, for another process that goes on with them.

Owns: their form, and the steps on both sides.
Must not import: the server, the composition root.
"""
