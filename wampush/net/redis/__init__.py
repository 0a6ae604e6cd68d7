"""Connections to Redis servers: where they lead, how they log in, what is answered.

Owns: endpoints with TLS and sentinels, replies, descriptions of what is wrong.
Must not import: the broker, the edges. It knows no topic.
"""
