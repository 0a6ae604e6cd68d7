"""The configuration: settings, their sources and their checks.

Must not import: Twisted, Autobahn, ZeroMQ, any room with sockets.
"""
