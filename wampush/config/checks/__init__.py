"""What a setting may be: one check for each kind of value.

Must not import: Twisted, the settings.
"""
