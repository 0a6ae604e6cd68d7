"""Sockets, TLS, key files, HTTP requests: what every room with a network needs.

Owns: endpoints and descriptors, certificates, secrets in files, addresses and origins.
Must not import: the broker, the edges, the apps; it knows no topic.
"""
