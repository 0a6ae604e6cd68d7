"""The examples in the documents work, and the links between documents lead somewhere."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

import wampush
from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import FENCE, Block, blocks_in, blocks_of, on
from tests.support.locks import REQUIREMENTS, locked
from tests.support.nginx import running_nginx
from tests.support.pages import PageServer
from tests.support.php import php_command, php_program, php_push
from tests.support.process_state import process_state_kept
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush.cli import command
from wampush.config.load import load
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLE = DOCS / "reference" / "wampush.example.toml"
PAGES = ("README.md", "PACKAGE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
DOCUMENTS = [*(ROOT / name for name in PAGES), *sorted(DOCS.rglob("*.md"))]
LANGUAGES = {"sh", "toml", "python", "php", "js", "html", "ini", "nginx", "json", "text", ""}
# The blocks in these are files, which tests/docs/test_deploy.py compares.
LANGUAGES |= {"apache", "caddy", "dockerfile", "haproxy", "yaml"}
ACCOUNT = {"--uid", "--gid"}
SEPARATORS = {"|", "||", "&", "&&", ";"}


BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]


def each_block(*languages: str) -> pytest.MarkDecorator:
    """Run a test with each block in these languages."""
    return pytest.mark.parametrize(
        "block", [block for block in BLOCKS if block.language in languages], ids=str
    )


def block_in(name: str, language: str, number: int = 0) -> str:
    """The code of one block, by the name of its document."""
    return blocks_in(name, language)[number]


def run(*command: str | Path, text: str = "") -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def program(name: str) -> str:
    """A program of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


# Every block is what it says


def test_every_block_says_what_it_is() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES
    for document in DOCUMENTS:
        fences = re.findall(r"^ *```", document.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(list(blocks_of(document))), document


@each_block("toml")
def test_settings_can_be_loaded(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(block.code, encoding="utf-8")
    load(path, {}, {})


@each_block("python")
def test_python_compiles(block: Block) -> None:
    ast.parse(block.code)


@each_block("php")
def test_php_compiles(block: Block) -> None:
    code = block.code if block.code.startswith("<?php") else f"<?php\n{block.code}"
    run(php_program(), "-l", text=code)


@each_block("json")
def test_json_is_json(block: Block) -> None:
    json.loads(block.code)


def test_javascript_compiles(browser: Browser) -> None:
    page = browser.open("about:blank")
    for block in BLOCKS:
        if block.language == "js":
            page.evaluate("code => { new Function(code); }", block.code)


# Commands


def simple_commands(code: str) -> Iterator[list[str]]:
    """The words of each simple command, without redirections and assignments before it."""
    for line in code.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if token not in SEPARATORS:
                words.append(token)
                continue
            while words and re.match(r"[A-Za-z_]\w*=", words[0]):
                del words[0]
            if words:
                yield words
            words = []


def check_command(words: list[str]) -> None:
    """Check the arguments of the programs that are ours; those of others are not looked at."""
    name = Path(words[0]).name
    words = [str(EXAMPLE) if re.fullmatch(r"\S+\.toml", word) else word for word in words[1:]]
    # The account that an example names need not exist here.
    words = ["0" if before in ACCOUNT else word for before, word in pairwise(["", *words])]
    if name == "wampush":
        arguments = command._parser().parse_args(words)
        if getattr(arguments, "json", "-") != "-":
            json.loads(arguments.json)
    elif name == "twistd":
        assert "wampush" in words
        with process_state_kept():
            ServerOptions().parseOptions(words)
    elif name == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for word in words:
            variable, equals, _ = word.partition("=")
            known = rf"^{variable} \?=" if equals else rf"^{word}:"
            assert re.search(known, makefile, re.MULTILINE), word


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own environment must not decide whether an example is right."""
    for name in ("WAMPUSH_CONFIG", "WAMPUSH_HTTP_LISTEN"):
        monkeypatch.delenv(name, raising=False)


@each_block("sh")
@pytest.mark.usefixtures("no_settings")
def test_commands_are_understood(block: Block) -> None:
    run("bash", "-n", text=block.code)
    for words in simple_commands(block.code):
        try:
            check_command(words)
        except SystemExit as error:
            if error.code in (0, None):
                continue  # --help and --version end here.
            pytest.fail(f"{shlex.join(words)}: {error}")


@each_block("ini")
@pytest.mark.usefixtures("no_settings")
def test_supervisors_start_what_exists(block: Block) -> None:
    # systemd reads some settings several times.
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    settings.optionxform = str  # type: ignore[assignment, method-assign]
    settings.read_string(block.code)
    commands = [
        value
        for section in settings.sections()
        for key, value in settings[section].items()
        if key in ("command", "ExecStart")
    ]
    assert len(commands) == sum(
        "Type" in section or "command" in section for section in settings.values()
    )
    for words in commands:
        check_command(shlex.split(words))


# Examples that are run


def test_the_lines_of_the_readme_work_together(
    daemon: Daemon, browser: Browser, pages: PageServer, tmp_path: Path
) -> None:
    script = on(daemon, block_in("README.md", "js"))
    pages.files["/readme.html"] = (
        '<!doctype html><script src="/autobahn.min.js"></script><p id="title"></p>'
        f"<script>{script}</script>"
    ).encode()
    page = browser.open(f"{pages.url}/readme.html")
    eventually(lambda: daemon.health()["topics"], lambda topics: topics == 1)
    backend = tmp_path / "backend.php"
    backend.write_text("<?php\n" + on(daemon, block_in("README.md", "php")), encoding="utf-8")
    run(*php_command(str(backend)))
    page.wait_for_function("document.getElementById('title').textContent === 'hello'")


def test_the_tutorial_can_be_followed(
    daemon: Daemon, browser: Browser, pages: PageServer, tmp_path: Path
) -> None:
    name = "docs/tutorial/first-push.md"
    pages.files["/first.html"] = on(daemon, block_in(name, "html")).encode()
    page = browser.open(f"{pages.url}/first.html")
    listen, push = (list(simple_commands(block_in(name, "sh", number)))[1] for number in (1, 2))
    url = daemon.websocket_url + "/"
    listener = Process([program("wampush"), *listen[1:], "--url", url], cwd=tmp_path)
    try:
        eventually(lambda: daemon.counts()[:2], lambda counts: counts == (2, 1))
        run(program("wampush"), *push[1:], "--to", daemon.zmq_address)
        shown = block_in(name, "text").strip()
        listener.wait_for_log(lambda log: shown in log.splitlines())
    finally:
        listener.terminate()
    page.wait_for_function("document.getElementById('title').textContent === 'hello'")
    run(sys.executable, "-c", on(daemon, block_in(name, "python", 0)))
    page.wait_for_function("document.getElementById('title').textContent === 'from Python'")
    run(sys.executable, "-c", on(daemon, block_in(name, "python", 1)))
    refusal = on(daemon, block_in(name, "text", 1)).strip()
    daemon.wait_for_log(lambda log: refusal in log)
    assert daemon.health()["refusals"] == {"not-json": 1}


def test_the_page_of_the_tutorial_shows_the_last_push_at_once(
    browser: Browser, pages: PageServer, tmp_path: Path
) -> None:
    name = "docs/tutorial/first-push.md"
    settings = tmp_path / "first.toml"
    settings.write_text(block_in(name, "toml"), encoding="utf-8")
    push = list(simple_commands(block_in(name, "sh", 2)))[1]
    with running_daemon(tmp_path, extra=["--config", str(settings)]) as daemon:

        def kept() -> int:
            url = f"{daemon.http_url}/topics/{push[2]}"
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                return len(json.load(response)["events"])

        run(program("wampush"), *push[1:], "--to", daemon.zmq_address)
        eventually(kept, lambda count: count == 1)
        pages.files["/first.html"] = on(daemon, block_in(name, "html")).encode()
        page = browser.open(f"{pages.url}/first.html")
        page.wait_for_function("document.getElementById('title').textContent === 'hello'")


def test_the_example_of_the_python_client_runs(daemon: Daemon) -> None:
    code = on(daemon, block_in("docs/reference/python.md", "python"))
    lines = run(sys.executable, "-c", code).splitlines()
    assert lines[0].startswith("session ")
    text = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    for line in lines[1:]:
        assert f"`{line}`" in text
    assert len(lines) == 3


def page_at(port: int) -> str:
    """What a browser is shown at a port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as response:
        return str(response.read().decode())


def test_clients_come_through_nginx_as_described(tmp_path: Path) -> None:
    recipe = block_in("docs/howto/run-behind-a-proxy.md", "nginx")
    (location,) = re.findall(r"^ *location / \{\n.*?^ *\}\n", recipe, re.MULTILINE | re.DOTALL)
    more = "docs/howto/more-than-1024-connections.md"
    (listen,) = (words for words in simple_commands(block_in(more, "sh")) if "--listen" in words)
    endpoint = listen[listen.index("--listen") + 1]
    place = "/run/wampush/ws.sock"
    path = f"{tmp_path}/ws.sock"
    with (
        reserved_ports(2) as (tcp, unix),
        running_daemon(tmp_path, extra=["--listen", endpoint.replace(place, path)]) as daemon,
    ):
        plain = re.sub(r"^ *ssl_.*\n", "", recipe, flags=re.MULTILINE)
        plain = plain.replace("    listen [::]:443 ssl;\n", "")
        plain = plain.replace("listen 443 ssl;", f"listen 127.0.0.1:{tcp};")
        passed = block_in(more, "nginx", 1).strip().replace(place, path)
        location = location.replace("proxy_pass http://127.0.0.1:8080;", passed)
        servers = f"{on(daemon, plain)}server {{\nlisten 127.0.0.1:{unix};\n{location}}}\n"
        assert path in servers
        with running_nginx(tmp_path / "nginx", block_in(more, "nginx", 0), servers):
            for port in (tcp, unix):
                assert "WAMP" in page_at(port)
                with RawClient(port) as client:
                    client.subscribe("MainCategory")
                    event = {"category": "MainCategory", "title": "hello"}
                    php_push(daemon.zmq_address, event)
                    assert client.receive() == [8, "MainCategory", event]


def test_the_nginx_configuration_is_written_once() -> None:
    (recipe,) = (block for block in BLOCKS if "proxy_set_header" in block.code)
    assert recipe.document == ROOT / "docs" / "howto" / "run-behind-a-proxy.md"
    for name in ("Host", "Upgrade", "Connection", "X-Forwarded-For", "X-Forwarded-Proto"):
        assert f"proxy_set_header {name} " in recipe.code


PUSHING = [block for block in BLOCKS if block.language == "php" and "SOCKET_PUSH" in block.code]


@pytest.mark.parametrize("block", PUSHING, ids=str)
def test_php_that_pushes_limits_how_long_it_waits(block: Block) -> None:
    assert "setSockOpt" in block.code
    assert "SOCKOPT_LINGER, 1000" in block.code
    assert "SOCKOPT_SNDTIMEO, 1000" in block.code


WHILE_DOWN = """<?php
for ($number = 1; $number <= 1000; $number++) {
    if (push_once() === false) {
        exit("refused at $number");
    }
}
$before = microtime(true);
echo push_once() === false ? 'false' : 'sent', ' after ', microtime(true) - $before, ' s';

function push_once()
{
    static $socket = null;
    if ($socket !== null) {
        return $socket->send('{}');
    }
    SNIPPET
    return true;
}
"""


def test_php_goes_on_while_wampush_is_down(tmp_path: Path) -> None:
    snippet = block_in("README.md", "php")
    path = tmp_path / "down.php"
    with reserved_ports(1) as (port,):
        code = WHILE_DOWN.replace("SNIPPET", snippet).replace("5555", str(port))
        path.write_text(code, encoding="utf-8")
        outcome, seconds = run(*php_command(str(path))).removesuffix(" s").split(" after ")
        # It gives up after SNDTIMEO, on a busy machine a little later.
        assert outcome == "false"
        assert float(seconds) > 0.9


# Between documents


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def links(document: Path) -> list[str]:
    """The targets of all links that stay in this project."""
    targets: list[str] = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose(document))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(document: Path) -> set[str]:
    """The fragments of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in links(document):
        name, _, fragment = target.partition("#")
        path = (document.parent / unquote(name)).resolve() if name else document
        if not path.exists() or (fragment and fragment not in anchors(path)):
            broken.append(target)
    assert broken == []


def test_the_index_leads_to_every_document() -> None:
    index = DOCS / "index.md"
    decisions = DOCS / "decisions" / "README.md"
    found = {
        (page.parent / target).resolve() for page in (index, decisions) for target in links(page)
    }
    assert {path for path in DOCS.rglob("*.md") if path != index} <= found


def test_the_changelog_begins_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.search(r"^## (\S+)", text, re.MULTILINE)
    assert first is not None
    assert first[1] == wampush.__version__


# Dependencies


def required(name: str) -> set[str]:
    """The packages that a requirements file names."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return {found.lower() for found in re.findall(r"^([A-Za-z][\w-]*)", text, re.MULTILINE)}


def test_every_dependency_is_explained() -> None:
    text = (DOCS / "explanation" / "dependencies.md").read_text(encoding="utf-8").lower()
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    explained = {re.sub(r"\[.*?\]", "", name) for row in rows for name in row.split(", ")}
    assert required("runtime.in") | required("test.in") | required("release.in") <= explained
    assert all(name in text for name in required("build.in"))


def test_the_versions_told_are_those_that_are_locked() -> None:
    text = (DOCS / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w-]+)(?:\[\w+\])? \| (\d[\w.]*) \|", text, re.MULTILINE)
    pins = {entry.name: entry.version for entry in locked(REQUIREMENTS / "runtime.lock")}
    assert {name.lower() for name, _ in rows} == required("runtime.in")
    assert all(pins[name.lower()] == version for name, version in rows)
