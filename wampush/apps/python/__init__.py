"""Apps in Python: what their modules are written against, and how they run.

Owns: the App object, contexts, handlers, threads, and the values that handlers return.
Must not import: the edges, webhooks, components.
"""
