"""wampush: a push server that speaks WAMP v1 to pages and ZeroMQ to backends.

Owns: the version number. Must not import: anything, so that build tools can read it.
"""

__version__ = "0.1.0"
