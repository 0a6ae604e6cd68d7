"""The ZeroMQ PULL sockets that backends push to.

Owns: sockets, CURVE keys and ZAP.
Must not import: the other edges.
"""
