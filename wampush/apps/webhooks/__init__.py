"""The application that is asked over HTTP.

Owns: requests to it, answers, the breaker, disconnects.
Must not import: the edges, Python apps, components.
"""
