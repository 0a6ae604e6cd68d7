"""Components and apps that can be started as they are, to read and to copy.

Owns: nothing that the server needs.
Must not import: anything of wampush but the APIs of applications.
"""
