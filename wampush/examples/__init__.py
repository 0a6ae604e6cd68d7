"""Components and apps that can be started as they are, to be read and copied.

Owns: nothing that the server needs. Must not import: anything of wampush but what applications are
written against.
"""
