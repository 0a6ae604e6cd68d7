"""The configuration: settings, where they come from, and what they may be.

Must not import: Twisted, Autobahn, ZeroMQ, any room with sockets.
"""
