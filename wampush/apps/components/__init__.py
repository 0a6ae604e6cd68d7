"""Plain WebSocket components in the server.

Owns: how components are created and run.
Must not import: the edges, Python apps, webhooks.
"""
