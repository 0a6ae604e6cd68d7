"""The client for pages, as both ports serve it: ``/static/wampush.js`` and what belongs to it.

Owns: which files these are, how long browsers keep them, and the response on the wire.
Must not import: Twisted, any edge.

The files are public and the same for everyone, so they are served without identity, and to the
pages of any origin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Final

from wampush.edges.entity_tags import is_known

PREFIX: Final = "/static/"
_NAME: Final = re.compile(r"wampush(?:-[a-z]+)*\.m?js(?P<map>\.map)?")
#: Seconds for which a browser does not ask again; after an upgrade, pages may run with the client
#: of before for as long.
_KEPT: Final = 3600
_SCRIPT_TYPE: Final = "text/javascript; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ClientFile:
    """One file.

    :param content: its bytes.
    :param content_type: of the content.
    :param tag: a strong entity tag; the same on each node of one version.
    """

    content: bytes
    content_type: str
    tag: str

    def headers(self) -> Mapping[str, str]:
        """Return the headers of a response, but for the length."""
        return {
            "Content-Type": self.content_type,
            "Cache-Control": f"public, max-age={_KEPT}",
            "ETag": self.tag,
            # A page with an integrity attribute may load it from another origin only with this.
            "Access-Control-Allow-Origin": "*",
            "X-Content-Type-Options": "nosniff",
        }

    def response(self, method: str, if_none_match: str) -> bytes:
        """Return a response on the wire, after which the connection ends.

        :param method: GET, or HEAD or OPTIONS for the header alone.
        :param if_none_match: the header of the request; "" for none.
        """
        is_there = is_known(self.tag, if_none_match)
        status = HTTPStatus.NOT_MODIFIED if is_there else HTTPStatus.OK
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers().items()]
        if not is_there:
            lines.append(f"Content-Length: {len(self.content)}")
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        return head if is_there or method != "GET" else head + self.content


def client_files(folder: Path) -> Mapping[str, ClientFile]:
    """Read the files; return them by the path under which they are served.

    :param folder: of the static files.
    :raises OSError: one cannot be read.
    """
    files = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            content = path.read_bytes()
            kind = "application/json" if match["map"] else _SCRIPT_TYPE
            tag = f'"{sha256(content).hexdigest()[:32]}"'
            files[PREFIX + path.name] = ClientFile(content, kind, tag)
    return files
