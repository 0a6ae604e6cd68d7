"""Who gets what.

Owns: publications, indexes, outgoing queues, policy, counts; the use cases on top of them.
Must not import: Twisted, Autobahn, ZeroMQ, the edges. Clock and scheduler are handed in.
"""
