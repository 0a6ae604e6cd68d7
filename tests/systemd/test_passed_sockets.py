"""The names of sockets from systemd, and which of them are used."""

from __future__ import annotations

import pytest

from wampush.systemd.passed_sockets import passed_names, problem_of, unused_names


def test_the_names_are_in_the_order_of_the_descriptors() -> None:
    assert passed_names({}) == ()
    assert passed_names({"LISTEN_FDNAMES": ""}) == ()
    assert passed_names({"LISTEN_FDNAMES": "b:a"}) == ["b", "a"]


@pytest.mark.parametrize(
    ("endpoints", "unused"),
    [
        ([], ["web", "http"]),
        (["tcp:8080", "unix:/run/systemd:name=web"], ["web", "http"]),
        (["systemd:domain=INET:name=web"], ["http"]),
        (["systemd:INET6:1"], ["web"]),
        (["haproxy:systemd:INET:index=0", "systemd:name=http:domain=INET"], []),
        (["systemd:INET:index=9"], ["web", "http"]),
    ],
)
def test_sockets_that_no_endpoint_names(endpoints: list[str], unused: list[str]) -> None:
    assert unused_names({"LISTEN_FDNAMES": "web:http"}, endpoints) == unused
    assert unused_names({}, endpoints) == []


@pytest.mark.parametrize(
    ("names", "endpoint", "problem"),
    [
        (
            None,
            "systemd:INET:name=web",
            "systemd has passed no socket to this process (LISTEN_FDNAMES is not set)",
        ),
        ("a:b", "systemd:INET:name=web", "systemd has passed only 'a', 'b'"),
        ("a:b", "systemd:INET:2", "systemd has passed only 'a', 'b'"),
        (
            "web",
            "haproxy:systemd:INET:name=web",
            "the sockets of systemd are for another process (LISTEN_PID)",
        ),
    ],
)
def test_why_there_is_no_such_socket(names: str | None, endpoint: str, problem: str) -> None:
    environment = {} if names is None else {"LISTEN_FDNAMES": names}
    assert problem_of(endpoint, environment) == problem
