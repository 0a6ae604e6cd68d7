"""Authentication of clients.

Owns: tokens, the callback to the web application, WAMP-CRA keys, and the order of these.
Must not import: the other edges.
"""
