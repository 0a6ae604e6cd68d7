"""What a setting may be: one checker for each kind of value.

Owns: the checkers, in modules by what they are about. Must not import: Twisted, Autobahn, settings.
"""
