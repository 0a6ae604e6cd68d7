"""Prints what the page needs: the address of the chat."""

import json
import os

print(json.dumps({"websocket": f"{os.environ['EXAMPLE_WEBSOCKET']}/chat"}))
