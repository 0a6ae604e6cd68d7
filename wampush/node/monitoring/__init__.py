"""What a node shows of itself to operators and their tools.

Owns: the metrics, the contents of the HTTP port's inspection routes, readiness, the event loop's
measurements.
Must not import: Twisted, ZeroMQ, the edges, the rest of the node; what they know is handed in.
"""
