"""Who may do what.

Owns: permissions, the policy of topics, automatic subscriptions.
Must not import: the broker, delivery, requests.
"""
