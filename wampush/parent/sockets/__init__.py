"""The listening sockets that the parent keeps open while nodes come and go.

Owns: where an address listens, how a socket is opened, and which worker has which one.
Must not import: Twisted, ZeroMQ, the rest of the parent.
"""
