"""The parent process: it owns the process id and the listening sockets, and runs a node.

Owns: when a node is started, replaced and ended. What a node does is not known here.
Must not import: Twisted, ZeroMQ, the broker, the edges, the node: the parent stays small.
"""
