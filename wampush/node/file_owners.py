"""The files that a node needs after it has changed to another account.

Owns: which files these are. Must not import: ``node.service``; ``node.build`` for its types only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wampush.config.settings import Settings
from wampush.net import listeners
from wampush.node.history import database_files
from wampush.node.listening import ListeningSockets
from wampush.node.options import Account

if TYPE_CHECKING:
    from wampush.node.build import Node


def give_files(account: Account, settings: Settings, node: Node, sockets: ListeningSockets) -> None:
    """Give the files that the server needs to the account that twistd changes to.

    :raises ListenError: the system does not allow it.
    """
    sockets.hand_over(account.user, account.group)
    for path in (*node.pull.socket_files(), *database_files(settings)):
        listeners.change_owner(path, account.user, account.group)
