"""Webhooks: an application that is asked and notified over HTTP.

Owns: the requests, the responses, the decisions made from them, and disconnects.
Must not import: the edges, Python apps, components.
"""
