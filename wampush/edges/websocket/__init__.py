"""The WebSocket listeners, which pages connect to.

Owns: connections from accept to loss, frames, the opening handshake, the outboxes of sockets.
Must not import: the other edges except ``auth``.
"""
