"""Tokens that are good for a moment only, made when a page asks for them."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support.tokens import token

_SHORT, _LONG = 3, 600
#: The body of a function that returns the session ``c`` once a long token has extended it.
SESSION_OF_LONG_TOKEN = """
let session = await c.call("wampush.session");
while (session.expires - await c.call("wampush.time") < 60) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  session = await c.call("wampush.session");
}
return session;
"""


class ShortTokens:
    """Gives a page the function ``freshToken``; its tokens of user 7 are short until ``end``."""

    def __init__(self, page: Page) -> None:
        #: How many the page has asked for.
        self.asked = 0
        self._seconds = _SHORT
        page.expose_function("freshToken", self._fresh)

    def end(self) -> None:
        """Make the next tokens long."""
        self._seconds = _LONG

    def _fresh(self) -> str:
        self.asked += 1
        return token("7", seconds=self._seconds)
