"""What clients ask for: from a typed request to its effect and its reply.

Owns: the order of requests, the built-in procedures, what application code decides.
Must not import: Twisted, the edges, the apps.
"""
