"""Restarts of the server while an application is being written: ``twistd -n wampush --reload``.

Owns: a supervisor that starts the server as its child, watches files and restarts the child.
Must not import: Twisted; the rest of the node.
"""
