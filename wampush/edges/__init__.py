"""Where bytes come in and go out.

Owns: WebSocket, ZeroMQ and HTTP on Twisted. Must not import: ``service``, ``node``, ``cli``.
"""
