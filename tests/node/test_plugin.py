"""The plugin of twistd."""

from __future__ import annotations

import gc
import importlib.util
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin

from tests.support.process_state import process_state_kept
from wampush import twistd_service
from wampush.node.options import Options

PLUGIN = Path(__file__).parents[2] / "twisted" / "plugins" / "wampush_plugin.py"


@pytest.fixture
def maker() -> Iterator[Any]:
    """The plugin."""
    spec = importlib.util.spec_from_file_location("wampush_plugin", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with process_state_kept():
        yield module.wampush


def test_twistd_finds_what_it_needs(maker: Any) -> None:
    assert IPlugin.providedBy(maker)
    assert IServiceMaker.providedBy(maker)
    assert maker.tapname == "wampush"
    assert maker.makeService is twistd_service.makeService


def test_a_hangup_is_ignored_once_wampush_is_chosen(maker: Any) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    assert maker.options is Options
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_no_garbage_is_collected_from_then_on_until_a_service_starts(maker: Any) -> None:
    assert gc.isenabled()
    assert maker.options is Options
    assert not gc.isenabled()
