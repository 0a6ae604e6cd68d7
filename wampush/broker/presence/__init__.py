"""Who is online, and who is on which topic.

Owns: members of topics, counters, joins and leaves.
Must not import: the broker, requests.
"""
