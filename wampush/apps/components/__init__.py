"""Plain WebSocket components.

Owns: which component serves which path, and what passes between it and a connection.
Must not import: the edges, Python apps, webhooks.
"""
