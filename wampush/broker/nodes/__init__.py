"""The other nodes of an installation, as far as people are concerned.

Owns: which nodes are there, what each has reported of its users and topics, questions to all nodes.
Must not import: Twisted, the edges, presence. How messages travel is handed in.
"""
