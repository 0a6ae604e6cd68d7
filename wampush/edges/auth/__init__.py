"""Who a client is: tokens, callbacks, WAMP-CRA keys.

Owns: the ways to prove an identity, and their keys.
Must not import: the other edges.
"""
