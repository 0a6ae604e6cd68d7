"""Checks of the values of settings, one per kind of value.

Must not import: Twisted, the settings.
"""
