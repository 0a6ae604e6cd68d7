"""The HTTP port: health, metrics, publishing, static files.

Owns: routes, access and limits of the HTTP port.
Must not import: the other edges.
"""
