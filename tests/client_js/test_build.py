"""What client-js/ is built to: sizes, forms, types, and the files that the server serves."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from install_node_packages import CLIENT

import wampush
from tests.support.client_js import STATIC, run_node

KIB = 1024
#: Bytes after gzip of what browsers load.
LIMITS = {
    "wampush": 5 * KIB,
    "wampush-cra": 2 * KIB,
    "wampush-modern": 4 * KIB,
    "wampush-tabs": 6 * KIB,
}
BUILT = re.compile(r"wampush(-[a-z]+)*\.m?js(\.map)?")
#: What ES2018 does not have, in a file that the build has minified: only what came later and could
#: not be left as it is.
NEWER = ("?.", "??", "catch{", "static{", "#private", "import.meta")


def test_the_served_files_are_what_the_sources_build_to(built_client: Path) -> None:
    served = {each.name for each in STATIC.iterdir() if BUILT.fullmatch(each.name)}
    built = {each.name for each in built_client.iterdir() if BUILT.fullmatch(each.name)}
    assert served == built
    for name in sorted(served):
        assert (STATIC / name).read_bytes() == (built_client / name).read_bytes(), (
            f"static/{name} is not what client-js/ builds to: make client"
        )


@pytest.mark.parametrize(("name", "limit"), LIMITS.items())
def test_sizes(built_client: Path, name: str, limit: int) -> None:
    for extension in ("js", "mjs"):
        size = len(gzip.compress((built_client / f"{name}.{extension}").read_bytes(), 9))
        assert size <= limit, f"{name}.{extension} has {size} bytes"


def test_scripts_are_es2018(built_client: Path) -> None:
    for script in built_client.glob("wampush*.js"):
        text = re.sub(r"`[^`]*`|\"[^\"]*\"", '""', script.read_text(encoding="utf-8"))
        assert [each for each in NEWER if each in text] == [], script.name


def test_source_maps_lead_to_the_sources(built_client: Path) -> None:
    for script in built_client.glob("wampush*.*js"):
        last = script.read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
        assert last == f"//# sourceMappingURL={script.name}.map"
        described = json.loads(Path(f"{script}.map").read_text(encoding="utf-8"))
        for source, content in zip(described["sources"], described["sourcesContent"], strict=True):
            if source.startswith("loaded:"):
                continue
            name = source.rpartition("client-js/")[2]
            assert content == (CLIENT / "src" / Path(name).name).read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["mjs", "cjs"])
def test_modules_export_the_same(built_client: Path, tmp_path: Path, form: str) -> None:
    path = built_client / f"wampush.{form}"
    script = tmp_path / f"exports.{form}"
    take = (
        f"await import({json.dumps(str(path))})"
        if form == "mjs"
        else f"require({json.dumps(str(path))})"
    )
    script.write_text(
        f"const found = {take};\n"
        "const { ab, Connection, callError } = found;\n"
        "console.log(JSON.stringify([Object.keys(found).sort(), found.default === ab,"
        " ab.Connection === Connection, typeof globalThis.ab, callError('u', 'd').uri]));\n"
    )
    names, is_default, is_same, kind, uri = json.loads(run_node(script))
    assert names == ["Connection", "ab", "callError", "default"]
    assert (is_default, is_same, kind, uri) == (True, True, "undefined", "u")


def test_the_package_can_be_published(built_client: Path, tmp_path: Path) -> None:
    package = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == wampush.__version__
    assert "dependencies" not in package
    for name in ("package.json", "README.md", "LICENSE"):
        shutil.copy(CLIENT / name, tmp_path)
    for name in ("src", "types", "test"):
        shutil.copytree(CLIENT / name, tmp_path / name)
    shutil.copytree(built_client, tmp_path / "dist")
    done = subprocess.run(
        ["npm", "pack", "--json", "--ignore-scripts", "--dry-run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = json.loads(done.stdout)
    # Until npm 11, this is a list; then an object with the names of packages.
    (packed,) = listed.values() if isinstance(listed, dict) else listed
    files = {each["path"] for each in packed["files"]}
    named = json.dumps([package["exports"], package["main"], package["module"], package["types"]])
    for path in re.findall(r"\./(dist/[\w.-]+)", named):
        assert path in files
    assert {"package.json", "README.md", "LICENSE"} <= files
    assert {f"dist/{each.name}" for each in built_client.iterdir()} <= files
    assert not [each for each in files if each.startswith(("test/", "node_modules/"))]


def test_the_lock_names_digests_and_no_registry() -> None:
    lock = json.loads((CLIENT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    for name, each in packages.items():
        assert each["integrity"].startswith("sha512-"), name
        assert "resolved" not in each, name
        assert each["dev"] is True, name


def test_the_demo_needs_no_node() -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", "run"],
        cwd=CLIENT.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "run_demo.py" in shown
    assert not re.search(r"\b(node|npm)\b", shown)
