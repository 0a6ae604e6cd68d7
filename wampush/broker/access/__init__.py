"""Who may do what.

Owns: permissions, who may publish by default, automatic subscriptions.
Must not import: the broker, delivery, requests.
"""
