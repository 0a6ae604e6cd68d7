"""The composition root: one node, its service and its metrics.

Owns: which object gets which others; how a process starts, reloads and stops.
Imports nothing here: importing txzmq installs a reactor, which twistd must have chosen before.
"""
