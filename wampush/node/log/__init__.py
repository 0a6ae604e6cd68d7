"""The log of a node: what is logged, in which form, and where it goes.

Owns: the observer that takes the log from Twisted. What is logged is up to each part.
Must not import: the rest of the node, which installs a reactor.
"""
