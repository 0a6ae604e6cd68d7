"""What a Redis server says about itself, and what nodes need."""

from __future__ import annotations

import pytest

from wampush.net.redis.server_facts import ServerFacts, facts_of

INFO = (
    b"# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n\r\n# Memory\r\nmaxmemory:0\r\n"
    b"maxmemory_policy:noeviction\r\n\r\n# Replication\r\nrole:master\r\n"
)


def test_facts_are_read() -> None:
    assert facts_of(INFO) == ServerFacts("abc", "7.0.15", "master", "noeviction")
    assert facts_of(b"") == ServerFacts("", "", "", "")
    assert facts_of(b"role:\xff\r\n").role == "\ufffd"


@pytest.mark.parametrize(
    ("facts", "keeps_history", "words"),
    [
        (ServerFacts("a", "7.0.15", "master", "noeviction"), True, ""),
        (ServerFacts("", "", "", ""), True, ""),
        (ServerFacts("a", "10.1", "master", "allkeys-lru"), False, ""),
        (ServerFacts("a", "unstable", "master", ""), True, ""),
        (ServerFacts("a", "6.2.14", "master", ""), False, "version 6.2.14; version 7 or later"),
        (ServerFacts("a", "7.2", "slave", ""), False, "it is a replica"),
        (ServerFacts("a", "7.2", "master", "allkeys-lru"), True, "set-policy"),
        (ServerFacts("a", "7.2", "master", "volatile-ttl"), True, "set-policy"),
    ],
)
def test_what_nodes_need(facts: ServerFacts, keeps_history: bool, words: str) -> None:
    problem = facts.problem(keeps_history=keeps_history)
    if words == "set-policy":
        assert f"maxmemory-policy {facts.eviction} may drop what topics keep" in problem
        assert "redis-cli CONFIG SET maxmemory-policy noeviction" in problem
    elif words:
        assert words in problem
    else:
        assert problem == ""
