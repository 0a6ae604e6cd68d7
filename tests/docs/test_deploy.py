"""The files in deploy/: pages show them as they are, and what cannot run here is consistent.

Neither Docker nor its registry can be had here, so the image is not built. What can be checked
without it is: what it copies exists, the installation is the one of the pages and of the tests of
the package, its commands run, and the addresses in all files of the composition fit together.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from tests.support.daemon import Daemon
from tests.support.guides import blocks_in
from wampush.config.load import load
from wampush.testing.ports import reserved_ports

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GUIDES = (
    "docs/howto/run-under-supervisor.md",
    "docs/howto/run-behind-a-proxy.md",
    "docs/howto/run-several-nodes.md",
    "docs/howto/upgrade-pages.md",
)
DOCKER = DEPLOY / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")

#: The language of the block, by file; None for a file that no page shows.
FILES = {
    "apache/wampush-js.conf": "apache",
    "apache/wampush.conf": "apache",
    "caddy/Caddyfile": "caddy",
    "docker/Dockerfile": "dockerfile",
    "docker/Dockerfile.dockerignore": None,
    "docker/compose.yaml": "yaml",
    "docker/wampush.toml": "toml",
    "haproxy/haproxy.cfg": "haproxy",
    "nginx/wampush-js.conf": "nginx",
    "nginx/wampush.conf": "nginx",
    "several-nodes/compose.yaml": "yaml",
    "several-nodes/nginx.conf": None,
    "several-nodes/wampush.toml": "toml",
    "supervisor/wampush.conf": "ini",
    "systemd/wampush.service": "ini",
    "systemd/wampush.socket": "ini",
    "wampush.toml": "toml",
}


def test_every_file_is_known() -> None:
    found = {path.relative_to(DEPLOY).as_posix() for path in DEPLOY.rglob("*") if path.is_file()}
    assert set(FILES) <= found
    pages = "".join((ROOT / guide).read_text(encoding="utf-8") for guide in GUIDES)
    shown = [name for name, language in FILES.items() if language]
    assert [name for name in shown if f"deploy/{name}" not in pages] == []


@pytest.mark.parametrize(("name", "language"), [item for item in FILES.items() if item[1]])
def test_pages_show_the_files_as_they_are(name: str, language: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    assert sum(text == block for guide in GUIDES for block in blocks_in(guide, language)) == 1


@pytest.mark.parametrize(
    "name", ["wampush.toml", "docker/wampush.toml", "several-nodes/wampush.toml"]
)
def test_the_settings_are_valid(name: str) -> None:
    settings = load(DEPLOY / name, {}, {}).settings
    assert settings.clients.publish == "never"


# The image


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction of the Dockerfile with its arguments."""
    for line in DOCKERFILE.replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest


def all_of(word: str) -> list[str]:
    """The arguments of all instructions of a kind, in order."""
    return [rest for each, rest in instructions() if each == word]


def test_the_instructions_exist() -> None:
    assert {word for word, _ in instructions()} <= {
        *("FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD")
    }
    for command in all_of("RUN"):
        subprocess.run(["bash", "-n"], input=command, text=True, timeout=20, check=True)


def test_the_server_runs_without_privileges() -> None:
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", last_stage, re.MULTILINE) == ["wampush"]
    (made,) = (words for words in map(shlex.split, all_of("RUN")) if words[0] == "useradd")
    assert made[-1] == "wampush"
    assert int(made[made.index("--uid") + 1]) > 0


def test_the_image_has_a_python_that_is_supported() -> None:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        classifiers = tomllib.load(stream)["project"]["classifiers"]
    images = [each.partition(" ")[0] for each in all_of("FROM")]
    # Both stages have the same, or the environment would not run in the second.
    assert len(set(images)) == 1
    version = re.fullmatch(r"python:(3\.\d+)-slim", images[0])
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in classifiers


def copied() -> Iterator[str]:
    """What the image takes out of the checkout."""
    for arguments in all_of("COPY"):
        words = shlex.split(arguments)
        if not words[0].startswith("--from="):
            yield from words[:-1]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "*"
    admitted = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert sorted(copied()) == sorted(admitted)
    assert all((ROOT / name).exists() for name in admitted)
    left_out = [line for line in lines if not line.startswith(("*\n", "!"))][1:]
    assert any(fnmatch("wampush/__pycache__", line) for line in left_out)


def test_the_image_has_what_the_package_is_built_of() -> None:
    # The tests of the package build it of these, and start what they have built.
    source = (ROOT / "tests" / "test_packaging.py").read_text(encoding="utf-8")
    (names,) = re.findall(r"^SOURCES = \((.*?)^\)", source, re.MULTILINE | re.DOTALL)
    sources = set(re.findall(r'"([^"]+)"', names))
    assert set(copied()) - sources == {"deploy/docker/wampush.toml"}
    # What is left out are documents and what only a source distribution has.
    left_out = sources - set(copied())
    assert {name for name in left_out if not name.endswith(".md")} == {
        "client-js",
        "deploy",
        "tests",
    }
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {name for name in left_out if f'"{name}"' in project} == set()


def test_the_image_is_installed_as_the_page_says() -> None:
    def installations(code: str) -> list[list[str]]:
        words = (shlex.split(line.removeprefix("RUN ")) for line in code.splitlines())
        return [[each for each in line if each != "--no-cache-dir"] for line in words if line]

    (page,) = (block for block in blocks_in(GUIDES[0], "sh") if "useradd" in block)
    wanted = [line for line in installations(page) if "useradd" not in line]
    assert len(wanted) == 4
    assert [line for line in installations(DOCKERFILE) if line in wanted] == wanted


def test_the_health_check_says_whether_the_server_works(daemon: Daemon) -> None:
    (check,) = all_of("HEALTHCHECK")
    command = json.loads(check.partition(" CMD ")[2])
    assert command[0] == "/opt/wampush/bin/python"
    usual = "127.0.0.1:8081"
    assert usual in command[2]

    def status(port: int) -> int:
        code = command[2].replace(usual, f"127.0.0.1:{port}")
        done = subprocess.run(
            [sys.executable, *command[1:2], code], capture_output=True, timeout=20, check=False
        )
        return done.returncode

    assert status(daemon.http_port) == 0
    with reserved_ports(1) as (port,):
        assert status(port) == 1


def test_the_health_check_of_haproxy_has_an_answer(daemon: Daemon) -> None:
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
    (path,) = re.findall(r"^ *option httpchk GET (\S+)$", text, re.MULTILINE)
    with urllib.request.urlopen(f"{daemon.http_url}{path}", timeout=20) as response:
        assert response.status == 200


def test_the_server_is_started_as_everywhere() -> None:
    (start,), (options,) = all_of("ENTRYPOINT"), all_of("CMD")
    command = shlex.join([*json.loads(start), *json.loads(options)])
    service = (DEPLOY / "systemd" / "wampush.service").read_text(encoding="utf-8")
    program = (DEPLOY / "supervisor" / "wampush.conf").read_text(encoding="utf-8")
    assert f"\nExecStart={command}\n" in service
    assert f"\ncommand={command}\n" in program


# The composition


def test_the_composition_fits_together() -> None:
    composition = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    wampush, caddy = composition["services"]["wampush"], composition["services"]["caddy"]
    assert (DOCKER / wampush["build"]["context"]).resolve() == ROOT
    assert (ROOT / wampush["build"]["dockerfile"]).is_file()
    for service in (wampush, caddy):
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            assert source in composition["volumes"] or (DOCKER / source).is_file()
        assert set(service["networks"]) <= set(composition["networks"])
    # Only Caddy can be reached from outside.
    assert "ports" not in wampush
    settings = load(DOCKER / "wampush.toml", {}, {}).settings
    (network,) = composition["networks"]["push"]["ipam"]["config"]
    assert settings.zmq.allow == (network["subnet"],)
    address = caddy["networks"]["push"]["ipv4_address"]
    assert settings.proxy.trusted == (address,)
    # Nobody else is given the address that is trusted.
    given = ipaddress.IPv4Network(network["ip_range"])
    assert ipaddress.IPv4Address(address) not in given
    assert given.subnet_of(ipaddress.IPv4Network(network["subnet"]))
    names = set(re.findall(r"\{\$(\w+):", (DEPLOY / "caddy" / "Caddyfile").read_text()))
    assert set(caddy["environment"]) == names
    assert caddy["environment"]["WAMPUSH"] == "wampush:8080"
    assert settings.websocket.listen == ("tcp:8080",)


# Several nodes


def test_the_addresses_of_several_nodes_fit_together() -> None:
    folder = DEPLOY / "several-nodes"
    composition = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))
    services = composition["services"]
    settings = load(folder / "wampush.toml", {}, {}).settings
    balancer = services["balancer"]["networks"]["default"]["ipv4_address"]
    assert settings.proxy.trusted == (balancer,)
    (network,) = composition["networks"]["default"]["ipam"]["config"]
    assert settings.zmq.allow == (network["subnet"],)
    given = ipaddress.IPv4Network(network["ip_range"])
    assert ipaddress.ip_address(balancer) not in given
    assert given.subnet_of(ipaddress.IPv4Network(network["subnet"]))
    assert settings.backplane.url.host in services
    nginx = (folder / "nginx.conf").read_text(encoding="utf-8")
    servers = re.findall(r"server (\w+):(\d+) ", nginx)
    assert servers == [("node1", "8080"), ("node2", "8080")]
    assert {name for name, _ in servers} <= set(services)
    assert settings.websocket.listen == ("tcp:8080",)
    assert "noeviction" in services["redis"]["command"]
    assert services["node1"] == services["node2"]
    assert services["node1"]["build"]["dockerfile"] == "deploy/docker/Dockerfile"
