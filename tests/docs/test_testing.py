"""The guide about tests of applications works, and its reference names what the code offers."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.guides import ROOT, blocks_in
from tests.support.waiting import PATIENCE
from wampush import testing

GUIDE = "docs/howto/test-an-app.md"
PAGE = (ROOT / "docs" / "reference" / "testing.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the application and the tests of the guide."""
    shop, *tests = blocks_in(GUIDE, "python")
    (tmp_path / "shop.py").write_text(shop, encoding="utf-8")
    (tmp_path / "wampush.toml").write_text('apps = ["shop:app"]\n', encoding="utf-8")
    for number, code in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(code, encoding="utf-8")
    return tmp_path


def output_of(folder: Path, *command: str) -> str:
    """What a test runner writes; it must succeed."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))),
        # Those of this project's own tests, which take a while to load.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tests_of_the_guide_pass_with_pytest(folder: Path) -> None:
    assert "9 passed" in output_of(folder, "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.")


def test_a_test_of_the_guide_passes_with_trial(folder: Path) -> None:
    (name,) = [path.stem for path in folder.glob("test_*.py") if "unittest" in path.read_text()]
    assert "PASSED (successes=1)" in output_of(folder, "twisted.trial", name)


def rows(title: str) -> set[str]:
    """What stands in code style in the first column of the tables of a section."""
    section = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(.+?)`", cell)}


def signature_of(name: str, function: Any) -> str:
    """A function as the page writes it."""
    shown: list[str] = []
    for each in inspect.signature(function).parameters.values():
        if each.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in "".join(shown):
            shown.append("*")
        if each.name != "self":
            shown.append(str(each.replace(annotation=each.empty)).replace(" = ", "="))
    return f"{name}({', '.join(shown)})"


def members(owner: type, hidden: set[str]) -> set[str]:
    """The public methods and properties of a class, as the page writes them."""
    found = set()
    for name, member in vars(owner).items():
        if not name.startswith("_") and name not in hidden:
            found.add(signature_of(name, member) if inspect.isfunction(member) else name)
    return found


def test_the_page_lists_the_servers_and_clients() -> None:
    for_clients = {"on_text", "become", "lose", "refusals_of"}
    server = members(testing.InMemoryServer, for_clients)
    assert rows("`InMemoryServer`") == server | {"clock"}
    client = members(testing.InMemoryClient, {"attach", "subscriber", "on_text"})
    assert rows("`InMemoryClient`") == client
    addresses = {"websocket_url", "websocket_port", "zmq_address", "zmq_port"}
    running = members(testing.RunningServer, set()) | members(testing.Process, set())
    assert rows("`running_server`") == running | addresses | {"http_url", "http_port"}


def test_the_page_lists_the_arguments() -> None:
    for name in ("InMemoryServer", "running_server"):
        assert f"`{signature_of(name, getattr(testing, name))}`" in PAGE


def test_the_page_lists_every_other_name() -> None:
    named = {each.partition("(")[0] for each in rows("Other names")}
    described = {"InMemoryServer", "InMemoryClient", "InMemoryBus"}
    described |= {"RunningServer", "Process", "running_server"}
    assert named | described == set(testing.__all__)
