"""Several nodes over real processes, with everything that goes wrong, and what judges it.

Owns: nothing; see the modules. Must not import: wampush.
"""
