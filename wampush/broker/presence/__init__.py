"""Who is online, and on which topic.

Owns: members of topics, figures, joins and leaves.
Must not import: the broker, requests.
"""
