"""Apps in Python: the API of their handlers, and how handlers are run.

Owns: the App object, contexts, sessions, handlers, threads, and the values that handlers return.
Must not import: the edges, webhooks, components.
"""
