"""The hand-over of a node to another process: its sessions, and what it knows.

Owns: both sides, and the records between them.
Must not import: ``node.service``, which calls :class:`HandingOver` and :class:`TakingOver` only.
"""

from wampush.node.handover.handed_over import HandedOver, HandOverFailed
from wampush.node.handover.handing_over import HandingOver
from wampush.node.handover.taking_over import TakenOver, TakeOverFailed, TakingOver

__all__ = [
    "HandOverFailed",
    "HandedOver",
    "HandingOver",
    "TakeOverFailed",
    "TakenOver",
    "TakingOver",
]
