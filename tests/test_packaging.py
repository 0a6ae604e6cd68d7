"""What a user installs: sdist and wheel, the wheel alone, in an empty environment."""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import zmq
from build_release import build, build_native, is_native, lock_of
from check_installation import InstallationError, check_installation, clean_environment, output

import wampush
from tests.support.daemon import Daemon, running_daemon
from tests.support.locks import locked
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE
from wampush.cli.running_parents import ask
from wampush.testing.ports import reserved_ports

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "MANIFEST.in",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "PACKAGE.md",
    "README.md",
    "SECURITY.md",
    "deploy",
    "requirements",
    "wampush",
    "twisted",
    "static",
    "client-js",
    "tests",
)
UV = ROOT / "scripts" / "uv.sh"
#: The versions of Python that the package page promises.
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
RUN_TWISTD = "from twisted.scripts.twistd import run; run()"
LIST_PLUGINS = """
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
print([plugin.tapname for plugin in getPlugins(IServiceMaker)])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel, built from a copy so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    source.mkdir()
    leave_out = shutil.ignore_patterns(
        "__pycache__", "dropin.cache", "node_modules", "dist", "*.so"
    )
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=leave_out)
        else:
            shutil.copy(ROOT / name, source / name)
    return build(source, folder / "dist")


@pytest.fixture(scope="module")
def sdist(built: tuple[Path, Path]) -> Path:
    """The sdist."""
    return built[0]


@pytest.fixture(scope="module")
def wheel(built: tuple[Path, Path]) -> Path:
    """The wheel, which was built from the sdist."""
    return built[1]


@pytest.fixture(scope="module")
def native(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with the extension, built from the sdist."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    return build_native(sdist, tmp_path_factory.mktemp("native"))


def copy_distribution(name: str, site_packages: Path) -> None:
    """Copy one installed distribution into another environment, as pip had installed it there."""
    for entry in metadata.distribution(name).files or ():
        if ".." not in entry.parts and "__pycache__" not in entry.parts:
            target = site_packages / entry
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(entry.locate()), target)


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds runtime.lock and the wheel, nothing else."""
    return installed(wheel, tmp_path_factory.mktemp("environment"))


def installed(wheel: Path, folder: Path) -> Path:
    """Make an environment of runtime.lock and a wheel; return its interpreter."""
    folder.mkdir(exist_ok=True)
    output(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder)
    python = folder / "bin" / "python"
    (site_packages,) = folder.glob("lib/python3*/site-packages")
    for entry in locked(ROOT / "requirements" / "runtime.lock"):
        if entry.applies:
            copy_distribution(entry.name, site_packages)
    # Twisted remembers its plugins in a file; one that was written before must not hide ours.
    assert "wampush" not in output(python, "-c", LIST_PLUGINS, folder=folder)
    assert (site_packages / "twisted" / "plugins" / "dropin.cache").is_file()
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    output(*pip, "--no-index", "--no-deps", wheel, folder=folder)
    return python


def test_the_wheel_holds_plugin_and_static_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    static = {
        f"wampush/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "static").rglob("*")
        if path.is_file()
    }
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "wampush").rglob("*.py")}
    assert static
    assert static | sources | {"wampush/py.typed", "twisted/plugins/wampush_plugin.py"} <= names
    strangers = {
        name for name in names if not name.startswith(("wampush/", "wampush-", "twisted/plugins/w"))
    }
    assert strangers == set()
    assert not any(name.startswith("twisted/") and "__init__" in name for name in names)


def speedups_of(wheel: Path, folder: Path, interpreter: str = sys.executable) -> str:
    """Which code is active where a wheel is installed; other packages are not needed for it."""
    output(UV, "venv", "--quiet", "--python", interpreter, folder, folder=folder.parent)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    # Only two of the modules are imported, so to compile them all would be in vain.
    output(*pip, "--no-index", "--no-deps", "--no-compile", wheel, folder=folder)
    show = "from wampush.speedups import ACTIVE; print(ACTIVE)"
    return output(python, "-c", show, folder=folder).strip()


def test_the_wheel_fits_every_machine(wheel: Path, tmp_path: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not is_native(wheel)
    assert speedups_of(wheel, tmp_path / "pure") == "Python: the extension is not built"


def test_the_other_wheel_has_the_extension(native: Path, wheel: Path, tmp_path: Path) -> None:
    assert is_native(native)
    assert speedups_of(native, tmp_path / "native") == "C"
    with zipfile.ZipFile(native) as archive, zipfile.ZipFile(wheel) as pure:
        more = set(archive.namelist()) - set(pure.namelist())
    assert more == {"wampush/_speedups.abi3.so"}


def test_a_machine_without_a_compiler_installs_what_is_left(sdist: Path, tmp_path: Path) -> None:
    without = build_native(sdist, tmp_path, {"CC": "/nonexistent/cc"})
    assert not is_native(without)
    assert speedups_of(without, tmp_path / "without") == "Python: the extension is not built"


def test_the_sdist_holds_what_a_build_needs_and_the_documents(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = {name for name in SOURCES if (ROOT / name).is_file()}
    locks = {f"requirements/{path.name}" for path in (ROOT / "requirements").iterdir()}
    folder = ROOT / "deploy"
    deploy = {path.relative_to(ROOT).as_posix() for path in folder.rglob("*") if path.is_file()}
    client = {
        each.relative_to(ROOT).as_posix()
        for each in (ROOT / "client-js" / "src").iterdir()
        if each.is_file()
    }
    assert files | locks | deploy | client | {"client-js/package-lock.json"} <= names
    assert not {name for name in names if "node_modules" in name or "client-js/dist" in name}
    assert not {name for name in names if name.startswith("tests")}


def test_the_package_page_stands_by_itself(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        page = email.message_from_bytes(archive.read(name))
    assert page["Description-Content-Type"] == "text/markdown"
    text = str(page.get_payload())
    assert text.startswith("# wampush\n")
    # It has no other files to link to.
    assert not re.search(r"\]\((?![a-z]+:)", text)
    versions = {
        value.rpartition(" ")[2]
        for value in page.get_all("Classifier") or ()
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", value)
    }
    assert versions == set(VERSIONS)
    assert page["Version"] == wampush.__version__
    assert page["Requires-Python"] == ">=3.11"


def test_the_installation_is_complete(python: Path) -> None:
    check_installation(python, wampush.__version__)


def test_what_an_installation_lacks_is_named(python: Path) -> None:
    with pytest.raises(InstallationError, match=r"expected 0\.0\.7$"):
        check_installation(python, "0.0.7")
    (static,) = python.parents[1].glob("lib/python3*/site-packages/wampush/static")
    page = static / "index.html"
    text = page.read_bytes()
    page.unlink()
    try:
        with pytest.raises(InstallationError, match=r"missing: index\.html$"):
            check_installation(python, wampush.__version__)
    finally:
        page.write_bytes(text)


def interpreter_of(version: str) -> str:
    """The path of an interpreter of this machine; skips the test where there is none."""
    found = shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"this machine has no Python {version}")
    shown = subprocess.run(
        [found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if shown.stdout.strip() != version:
        # Such as a placeholder of a version manager.
        pytest.skip(f"{found} does not start Python {version}")
    return found


other_versions = pytest.mark.parametrize(
    "version", [each for each in VERSIONS if each != f"3.{sys.version_info.minor}"]
)


@other_versions
def test_other_versions_of_python_load_the_extension(
    native: Path, version: str, tmp_path: Path
) -> None:
    interpreter = interpreter_of(version)
    assert speedups_of(native, tmp_path / "native", interpreter) == "C"


@other_versions
def test_other_versions_of_python_run_the_wheel(
    wheel: Path, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = interpreter_of(version)
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    environment = tmp_path / "environment"
    python = environment / "bin" / "python"
    lock = ROOT / "requirements" / "runtime.lock"
    output(UV, "venv", "--quiet", "--python", interpreter, environment, folder=tmp_path)
    sync = (UV, "pip", "sync", "--quiet", "--python", python)
    locks = (lock, lock_of(wheel, tmp_path))
    output(*sync, "--require-hashes", "--no-build", *locks, folder=tmp_path)
    check_installation(python, wampush.__version__)


def test_the_modules_come_from_the_wheel(python: Path, tmp_path: Path) -> None:
    where = output(python, "-c", "import wampush; print(wampush.__file__)", folder=tmp_path)
    assert where.startswith(str(python.parents[1]))


def test_the_installed_daemon_brings_a_push_to_a_client(python: Path, tmp_path: Path) -> None:
    twistd = [str(python), "-c", RUN_TWISTD, "-n", "--pidfile="]
    with running_daemon(tmp_path, twistd=twistd, environment=dict(clean_environment())) as daemon:
        push_and_receive(daemon)
        with urllib.request.urlopen(f"{daemon.http_url}/demo/", timeout=PATIENCE) as response:
            assert b"demo.js" in response.read()
        with urllib.request.urlopen(
            f"{daemon.http_url}/static/demo/demo.js", timeout=PATIENCE
        ) as answer:
            assert answer.read() == (ROOT / "static" / "demo" / "demo.js").read_bytes()


def with_version(wheel: Path, version: str, folder: Path) -> Path:
    """The wheel once more, as another version."""
    before, after = wampush.__version__, version
    path = folder / wheel.name.replace(before, after)
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "wampush/__init__.py" or name.endswith((".dist-info/METADATA", "/RECORD")):
                content = content.replace(before.encode(), after.encode())
            target.writestr(name.replace(f"wampush-{before}.", f"wampush-{after}."), content)
    return path


def test_sessions_move_to_another_version_and_back(
    python: Path, wheel: Path, tmp_path: Path
) -> None:
    first = python.parents[1]
    other = installed(with_version(wheel, "0.0.9", tmp_path), tmp_path / "other").parents[1]
    current, link = tmp_path / "current", tmp_path / "link"
    current.symlink_to(first)
    twistd = [str(current / "bin" / "python"), "-c", RUN_TWISTD, "-n", "--pidfile="]
    with reserved_ports(3) as ports:
        daemon = Daemon(
            ports,
            cwd=tmp_path,
            extra=["--set=process.drain=1"],
            twistd=twistd,
            environment=dict(clean_environment()),
            has_parent=True,
        )
        try:
            daemon.wait_until_ready()
            with RawClient(daemon.websocket_port) as client:
                client.subscribe("t")
                for environment, version in ((other, "0.0.9"), (first, wampush.__version__)):
                    link.symlink_to(environment)
                    link.replace(current)
                    outcome = ask(daemon.pid, "upgrade")
                    assert outcome.is_done, outcome.text
                    assert "1 sessions" in outcome.text
                    assert daemon.health()["version"] == version
                    client.send(7, "t", version, False)
                    assert client.receive() == [8, "t", version]
            daemon.stop()
        finally:
            daemon.kill()


def push_and_receive(daemon: Daemon) -> None:
    """Push one message over ZeroMQ; a subscriber must get it."""
    message = {"category": "MainCategory", "title": "ü", "price": 1.0}
    with RawClient(daemon.websocket_port) as client:
        client.subscribe("MainCategory")
        with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
            socket.connect(daemon.zmq_address)
            socket.send_string(json.dumps(message))
        assert client.receive() == [8, "MainCategory", message]


@pytest.mark.parametrize("program", ["examples/run.py", "scripts/run_demo.py"])
def test_demo_and_examples_need_no_other_packages(
    python: Path, tmp_path: Path, program: str
) -> None:
    start = "import runpy, sys; sys.path.insert(0, sys.argv[1]); runpy.run_path(sys.argv[2])"
    output(python, "-c", start, ROOT / "scripts", ROOT / program, folder=tmp_path)


@pytest.mark.parametrize("example", ["chat", "orders"])
def test_the_settings_of_a_page_need_no_other_packages(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0" * 64)
    monkeypatch.setenv("EXAMPLE_SECRET", str(secret))
    monkeypatch.setenv("EXAMPLE_WEBSOCKET", "ws://127.0.0.1:1")
    monkeypatch.setenv("EXAMPLE_ZMQ", "tcp://127.0.0.1:2")
    settings = json.loads(
        output(python, ROOT / "examples" / example / "page_settings.py", folder=tmp_path)
    )
    assert settings["websocket"].startswith("ws://127.0.0.1:1")
