"""Application code inside the server: what it is written against, and how it is found and run.

Owns: the loader, Python apps, plain WebSocket components, webhooks. Must not import: the edges,
the client, ``node``, ``service``, ``cli``.
"""
