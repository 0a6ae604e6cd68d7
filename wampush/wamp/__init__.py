"""The WAMP v1 protocol without I/O.

Owns: messages, their text form, prefixes, what one client has said so far.
Must not import: Twisted, Autobahn, the broker or the edges; only the standard library, orjson and
``wampush.errors``.
"""
