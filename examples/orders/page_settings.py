"""Prints what the pages need: the addresses for pages and backends, and a token for each person.

A web application would sign the token of whoever is logged in, and put only that into the page.
"""

import json
import os
import time
from pathlib import Path

import jwt

secret = Path(os.environ["EXAMPLE_SECRET"]).read_text(encoding="ascii")
people = {"alice": [], "bob": [], "carol": ["staff"]}
print(
    json.dumps(
        {
            "websocket": os.environ["EXAMPLE_WEBSOCKET"],
            "push": os.environ["EXAMPLE_ZMQ"],
            "people": {
                name: jwt.encode(
                    {"sub": name, "groups": groups, "exp": int(time.time()) + 86_400}, secret
                )
                for name, groups in people.items()
            },
        }
    )
)
