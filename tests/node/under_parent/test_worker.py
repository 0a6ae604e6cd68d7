"""Which of several workers a node is, and its share of the sources of pushes."""

from __future__ import annotations

from pathlib import Path
from socket import gethostname

import pytest

from wampush.config.load import LoadedSettings, changed_keys, load
from wampush.control_channel import WORKER_VARIABLE
from wampush.node.under_parent.worker import node_name, own_number, share_of


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("", 1), ("x", 1)])
def test_the_parent_says_the_number_once(value: str, expected: int) -> None:
    environment = {WORKER_VARIABLE: value, "PATH": "/bin"}
    assert own_number(environment) == expected
    assert environment == {"PATH": "/bin"}
    assert own_number(environment) == 1


def test_the_nodes_of_a_machine_have_names_of_their_own() -> None:
    assert node_name(1, 1) == gethostname()
    assert node_name(2, 4) == f"{gethostname()}/2"


def loaded(folder: Path, high_water_mark: int = 1000) -> LoadedSettings:
    path = folder / "wampush.toml"
    path.write_text(
        f"""
[zmq]
high_water_mark = {high_water_mark}
pull = [
    "tcp://127.0.0.1:5555", "ipc:///run/pushes", "connect:tcp://10.0.0.5:5555",
    "tcp://127.0.0.1:*", "tcp://no-such-interface:5556", "ipc://*",
]
[[redis_source]]
url = "redis://127.0.0.1"
channels = ["live"]
""",
        encoding="utf-8",
    )
    return load(path, {}, {})


def test_the_first_worker_has_what_cannot_be_divided(tmp_path: Path) -> None:
    whole = loaded(tmp_path)
    assert share_of(1, whole) is whole
    share = share_of(2, whole).settings
    assert share.zmq.pull == ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:*")
    assert share.redis_source == ()
    assert share.zmq.high_water_mark == whole.settings.zmq.high_water_mark
    assert share.websocket == whole.settings.websocket


def test_only_settings_of_the_share_change_for_a_worker(tmp_path: Path) -> None:
    before, after = loaded(tmp_path), loaded(tmp_path, high_water_mark=7)
    assert changed_keys(share_of(2, before), share_of(2, after)) == ["zmq.high_water_mark"]
    assert changed_keys(share_of(2, before), share_of(2, before)) == []
