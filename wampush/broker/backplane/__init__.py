"""What joins the nodes of an installation.

Owns: messages between nodes, what a node follows, publications that reach all nodes.
Must not import: Twisted, the edges. Clock and timers are handed in.
"""
