"""Checks of the values of settings, one per kind of value.

Owns: what values are valid by themselves. Must not import: Twisted, the settings.
"""
