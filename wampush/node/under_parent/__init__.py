"""What a node does differently when it has a parent process.

Owns: the node's end of the control channel, and listening on sockets that the parent keeps open.
Imports nothing here: a node may need one of the modules before there is a reactor.
"""
