"""The WAMP v1 protocol, without I/O.

Owns: messages, their text, prefixes, and the state of one client's session.
Must not import: Twisted, Autobahn, the broker or the edges; only the standard library, orjson and
``wampush.errors``.
"""
