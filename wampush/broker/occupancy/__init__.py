"""The topics that have subscribers, as applications learn of them.

Owns: occupied and vacated topics, of one node and of several.
Must not import: the broker, requests.
"""

from wampush.broker.occupancy.occupancy import MOST_WAITING, Listener, Occupancy

__all__ = ["MOST_WAITING", "Listener", "Occupancy"]
