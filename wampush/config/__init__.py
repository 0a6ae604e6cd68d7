"""The configuration: settings, where they come from, and what they may be.

Owns: the settings and their checks.
Must not import: Twisted, Autobahn, ZeroMQ, any room with sockets.
"""
