"""From a publication to the bytes that wait for each client.

Owns: fan-out, outboxes, backpressure.
Must not import: the broker, requests, presence.
"""
