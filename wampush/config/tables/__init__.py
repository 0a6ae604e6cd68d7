"""The tables of the configuration file, one module per group of tables.

Owns: all settings, their defaults, and the rules between the settings of one module.
Must not import: Twisted, the rooms that act on them.
"""
