"""The chain: which proof decides, and what comes of none."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from tests.broker.world import World
from wampush.broker.identity import ANONYMOUS, AWAITING, Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.config.settings import Settings
from wampush.config.tables.identity import (
    AuthSettings,
    CallbackSettings,
    CraSettings,
    TokenSettings,
)
from wampush.edges.auth.authenticator import Authenticator, expiry_reason
from wampush.errors import AuthenticationRefused, CloseReason, OperatorError
from wampush.net import http_post
from wampush.net.http_post import HttpResponse
from wampush.wamp.cra import sign

SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0


class Chain:
    """An authenticator and the web application that it asks."""

    def __init__(self, folder: Path, *order: Any, cache_seconds: float = 0.0) -> None:
        self.asked: list[Deferred[HttpResponse]] = []
        self.folder = folder
        (folder / "token.key").write_text(SECRET, encoding="utf-8")
        (folder / "cra.toml").write_text('[keys.bob]\nsecret = "s"\nuser = 8\n', encoding="utf-8")
        self.now = NOW
        settings = Settings(
            auth=AuthSettings(order),
            token=TokenSettings(key_file=str(folder / "token.key"), cookie="jwt"),
            callback=CallbackSettings(url="http://127.0.0.1:1/", cache_seconds=cache_seconds),
            cra=CraSettings(keys_file=str(folder / "cra.toml"), timeout=5.0),
        )
        self.authenticator = Authenticator(settings, Clock(), lambda: self.now)

    def post(self) -> Deferred[HttpResponse]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def start(self, target: str = "/", **headers: str) -> Deferred[Identity]:
        return self.authenticator.authenticate(ConnectRequest(target, headers, "192.0.2.1"))

    def outcome(self, target: str = "/", **headers: str) -> Any:
        """What is known at once: an identity or the reason of the refusal."""
        return result_of(self.start(target, **headers))


def result_of(deferred: Deferred[Identity]) -> Any:
    found: list[Any] = []
    deferred.addCallbacks(found.append, lambda failure: found.append(failure.value))
    assert found, "it has not fired"
    if isinstance(found[0], AuthenticationRefused):
        return found[0].reason
    return found[0]


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def make(*order: str) -> Chain:
        made: list[Chain] = []
        monkeypatch.setattr(http_post, "HttpPost", lambda *_: lambda *_: made[0].post())
        made.append(Chain(tmp_path, *order))
        return made[0]

    return make


def token(**more: object) -> str:
    return jwt.encode({"sub": "7", "exp": int(NOW) + 10**6, **more}, SECRET)


def test_by_default_everybody_is_anonymous():
    authenticator = Authenticator(Settings(), Clock(), time.time)
    request = ConnectRequest("/?token=x", {"cookie": "a=1"}, "192.0.2.1")
    assert result_of(authenticator.authenticate(request)) is ANONYMOUS
    assert authenticator.procedures(lambda *_: {}, lambda *_: None) == {}


def test_a_token_or_nobody(chain):
    tokens = chain("token", "anonymous")
    assert tokens.outcome(f"/?token={token()}").user == "7"
    assert tokens.outcome() is ANONYMOUS
    assert tokens.outcome("/?token=") is ANONYMOUS
    assert tokens.outcome("/?token=x") is CloseReason.TOKEN_REFUSED
    assert tokens.outcome(f"/?token={token(exp=5)}") is CloseReason.TOKEN_REFUSED


def test_without_anonymous_credentials_are_needed(chain):
    tokens = chain("token")
    assert tokens.outcome() is CloseReason.AUTHENTICATION_REQUIRED
    assert CloseReason.AUTHENTICATION_REQUIRED.value.http_status == 401


def test_the_web_application_is_asked_where_no_token_is(chain):
    both = chain("token", "callback")
    assert both.outcome(f"/?token={token()}", cookie="a=1").user == "7"
    assert both.asked == []
    waiting = both.start(cookie="a=1")
    both.asked[0].callback(HttpResponse(200, b'{"user": 9}'))
    assert result_of(waiting) == Identity(user="9", source="callback")


@pytest.mark.parametrize(
    ("order", "status", "expected"),
    [
        (("callback", "anonymous"), 401, ANONYMOUS),
        (("callback",), 401, CloseReason.AUTHENTICATION_REQUIRED),
        (("callback", "anonymous"), 403, CloseReason.AUTHENTICATION_FORBIDDEN),
        (("callback", "anonymous"), 500, CloseReason.AUTHENTICATION_UNAVAILABLE),
    ],
)
def test_what_the_web_application_says_counts(chain, order, status, expected):
    web = chain(*order)
    waiting = web.start(cookie="a=1")
    web.asked[0].callback(HttpResponse(status, b""))
    assert result_of(waiting) is expected


def test_the_order_decides_which_credentials_are_looked_for_first(chain):
    web = chain("callback", "token")
    waiting = web.start(f"/?token={token()}", cookie="a=1")
    web.asked[0].callback(HttpResponse(401, b""))
    assert result_of(waiting).user == "7"


def test_an_identity_that_has_expired_is_refused(chain):
    web = chain("callback", "anonymous")
    waiting = web.start(cookie="a=1")
    web.asked[0].callback(HttpResponse(200, json.dumps({"user": 1, "expires": NOW}).encode()))
    assert result_of(waiting) is CloseReason.AUTHENTICATION_REQUIRED


def test_a_client_that_goes_while_the_web_application_is_asked(chain):
    web = chain("callback")
    waiting = web.start(cookie="a=1")
    failures: list[Any] = []
    waiting.addErrback(failures.append)
    waiting.cancel()
    assert failures[0].check(CancelledError)
    web.asked[0].callback(HttpResponse(200, b"{}"))


def test_close_cancels_requests(chain):
    web = chain("callback")
    waiting = web.start(cookie="a=1")
    web.authenticator.close()
    assert result_of(waiting) is CloseReason.AUTHENTICATION_UNAVAILABLE
    Authenticator(Settings(), Clock(), time.time).close()


def test_with_cra_alone_a_session_opens_to_authenticate(chain):
    cra = chain("cra")
    identity = cra.outcome()
    assert identity == Identity(source=AWAITING, expires=NOW + 5.0)
    assert expiry_reason(identity) is CloseReason.AUTHENTICATION_TIMEOUT
    assert expiry_reason(Identity(source="token")) is CloseReason.IDENTITY_EXPIRED


def test_with_cra_and_anonymous_a_session_opens_anonymously(chain):
    assert chain("cra", "anonymous").outcome() is ANONYMOUS


def test_procedures_are_those_of_the_order(chain):
    names = {
        ("token",): {"wampush.refresh"},
        ("callback",): set(),
        ("cra",): {
            "http://api.wamp.ws/procedure#authreq",
            "http://api.wamp.ws/procedure#auth",
        },
    }
    for order, expected in names.items():
        assert (
            set(chain(*order).authenticator.procedures(lambda *_: {}, lambda *_: None)) == expected
        )


def test_a_login_by_cra_over_the_broker(chain):
    cra = chain("cra")
    world = World()
    world.serve(
        cra.authenticator.procedures(lambda _, identity: {"for": identity.user}, world.change)
    )
    client = world.client(limit=10_000)
    client.become(cra.outcome())

    def call(procedure: str, argument: str) -> Any:
        uri = f"http://api.wamp.ws/procedure#{procedure}"
        world.says(client, json.dumps([2, "c", uri, argument]))
        world.end_turn()
        return json.loads(client.texts[-1])[2]

    assert call("auth", sign(call("authreq", "bob"), "s")) == {"for": "8"}
    assert client.subscriber.identity == Identity(user="8", source="cra")


def test_keys_are_read_again(chain):
    both = chain("token", "cra")
    (both.folder / "token.key").write_text("z" * 32, encoding="utf-8")
    (both.folder / "cra.toml").write_text('[keys.carol]\nsecret = "s"\n', encoding="utf-8")
    both.authenticator.reload()
    assert both.outcome(f"/?token={token()}") is CloseReason.TOKEN_REFUSED
    fresh = jwt.encode({"sub": "7", "exp": int(NOW) + 10**6}, "z" * 32)
    assert both.outcome(f"/?token={fresh}").user == "7"
    (both.folder / "cra.toml").write_text("", encoding="utf-8")
    both.authenticator.reload()
    assert both.authenticator.cra_keys().find("carol") is not None
    Authenticator(Settings(), Clock(), time.time).reload()


def test_keys_of_one_kind_that_cannot_be_used_do_not_keep_the_others_from_being_read(chain):
    both = chain("token", "cra")
    (both.folder / "token.key").unlink()
    (both.folder / "cra.toml").write_text('[keys.carol]\nsecret = "s"\n', encoding="utf-8")
    both.authenticator.reload()
    assert both.outcome(f"/?token={token()}").user == "7"
    assert both.authenticator.cra_keys().find("carol") is not None


def test_keys_that_cannot_be_used_stop_the_start():
    for settings in (
        Settings(auth=AuthSettings(("token",)), token=TokenSettings(key_file="/none")),
        Settings(auth=AuthSettings(("cra",)), cra=CraSettings(keys_file="/none")),
    ):
        with pytest.raises(OperatorError):
            Authenticator(settings, MemoryReactorClock(), time.time)
