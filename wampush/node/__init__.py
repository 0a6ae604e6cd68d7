"""The composition root: one node, its service and its metrics.

Imports nothing here: importing txzmq installs a reactor, which twistd must have chosen before.
"""
