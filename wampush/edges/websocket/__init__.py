"""The WebSocket listeners: what pages connect to.

Owns: connections from accept to loss, frames, the opening handshake, outboxes on sockets.
Must not import: the other edges but ``auth``.
"""
