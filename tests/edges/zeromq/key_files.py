"""Files with CURVE keys, as zmq.auth writes them."""

from __future__ import annotations

from pathlib import Path

import zmq.auth


class Keys:
    """A server, a backend that it knows, and a stranger; files as zmq.auth writes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = folder / "clients"
        self.known.mkdir(parents=True)
        self.server, self.server_secret = zmq.auth.create_certificates(folder, "server")
        self.backend, self.backend_secret = zmq.auth.create_certificates(self.known, "backend")
        self.stranger, self.stranger_secret = zmq.auth.create_certificates(folder, "stranger")

    def lines(self) -> str:
        return (
            f'curve_secret_key_file = "{self.server_secret}"\ncurve_client_keys = "{self.known}"\n'
        )
