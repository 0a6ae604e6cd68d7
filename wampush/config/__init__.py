"""The configuration: settings, their sources and their checks.

Owns: which settings exist, where their values come from, and what is wrong with them.
Must not import: Twisted, Autobahn, ZeroMQ, any room with sockets.
"""
