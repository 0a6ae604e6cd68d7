"""Topics with history on several nodes: what is kept once for all, and the copies of the nodes.

Owns: the contract of the store that all nodes share, the mirrors, publications on their way there.
Must not import: Twisted, the edges. Clock and timers are handed in.
"""
