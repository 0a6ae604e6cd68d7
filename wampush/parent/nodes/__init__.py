"""One node, as its parent sees it: the process, what it writes, and how long it may take.

Owns: starting it, its states, and its delays. Must not import: Twisted; what decides about nodes.
"""
