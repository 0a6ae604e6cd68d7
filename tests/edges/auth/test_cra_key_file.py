"""The file with the keys of WAMP-CRA."""

from __future__ import annotations

from pathlib import Path

import pytest

from wampush.broker.identity import Identity
from wampush.edges.auth import cra_key_file
from wampush.errors import OperatorError
from wampush.wamp.cra import Salting


def load(tmp_path: Path, text: str):
    path = tmp_path / "keys.toml"
    path.write_text(text, encoding="utf-8")
    return cra_key_file.load(str(path))


def test_plain_and_salted_keys(tmp_path):
    keys = load(
        tmp_path,
        """
        [keys.alice]
        secret = "alice-secret"
        user = 7
        groups = ["staff"]
        language = "de"
        data = { theme = "dark" }

        [keys."bob.keys.x"]
        derived = "ojv8BZ9kv62JBAo2awwsrLlNTwRzWjGI7vf7rSOt3fQ="
        salt = "SALT99"

        [keys.carol]
        derived = "Esf+zyiGdbwdrV6Tyt7S+A=="
        salt = "SALT99"
        iterations = 10
        keylen = 16
        """,
    )
    alice, bob, carol = (keys.find(name) for name in ("alice", "bob.keys.x", "carol"))
    assert alice is not None
    assert bob is not None
    assert carol is not None
    assert alice.secret == "alice-secret"
    assert alice.salting is None
    assert alice.identity == Identity(
        user="7",
        groups=frozenset({"staff"}),
        language="de",
        data={"theme": "dark"},
        source="cra",
    )
    assert bob.identity == Identity(user="bob.keys.x", source="cra")
    assert bob.salting == Salting("SALT99", 10_000, 32)
    assert carol.salting == Salting("SALT99", 10, 16)
    assert keys.find("unknown") is None


def test_decoys_are_the_same_after_a_restart_and_with_a_seed_after_a_change(tmp_path):
    one = '[keys.a]\nderived = "d"\nsalt = "0123456789"\n'
    two = one + '[keys.b]\nsalt = "9876543210"\nderived = "d"\n'
    assert load(tmp_path, one).decoy("x") == load(tmp_path, one).decoy("x")
    other = load(tmp_path, one.replace('"d"', '"e"'))
    assert load(tmp_path, one).decoy("x") != other.decoy("x")
    seed = 'decoy_seed = "0123456789abcdef"\n'
    assert load(tmp_path, seed + one).decoy("x") == load(tmp_path, seed + two).decoy("x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"\[keys.NAME\] for each key"),
        ("[keys]", r"\[keys.NAME\] for each key"),
        ("keys = 3", r"\[keys.NAME\] for each key"),
        ('kyes = 1\n[keys.a]\nsecret = "hidden"', r"\[keys.NAME\] for each key"),
        ('[keys]\na = "hidden"', "keys.a must be a table"),
        ('[keys.a]\nsecrt = "hidden"', "unknown setting 'secrt'"),
        ("[keys.a]", 'either "secret"'),
        ('[keys.a]\nsecret = ""', 'either "secret"'),
        ("[keys.a]\nsecret = 3", 'either "secret"'),
        ('[keys.a]\nsecret = "hidden"\nsalt = "s"', 'either "secret"'),
        ('[keys.a]\nsecret = "hidden"\nderived = "hidden"\nsalt = "s"', 'either "secret"'),
        ('[keys.a]\nderived = "hidden"', "salt must be"),
        ('[keys.a]\nsecret = "hidden"\niterations = 3', "salt must be"),
        ('[keys.a]\nderived = "hidden"\nsalt = ""', "salt must be"),
        ('[keys.a]\nderived = "hidden"\nsalt = "s"\niterations = 0', "iterations must be"),
        ('[keys.a]\nderived = "hidden"\nsalt = "s"\nkeylen = true', "keylen must be"),
        ('[keys.a]\nsecret = "hidden"\nuser = true', "user must be a string"),
        ('[keys.a]\nsecret = "hidden"\ngroups = "x"', "groups must be a list"),
        ('decoy_seed = "hidden"\n[keys.a]\nsecret = "x"', "decoy_seed must be"),
        ('[keys.a]\nsecret = "hidden\n', r"not TOML in UTF-8 \(at line 2, column 17\)"),
        ('[keys.hidden]\nsecret = "x"\n[keys.hidden]', "not TOML in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path, text, words):
    with pytest.raises(OperatorError, match=words) as error:
        load(tmp_path, text)
    assert "hidden" not in str(error.value)


def test_files_that_are_no_text_or_not_there(tmp_path):
    (tmp_path / "keys.toml").write_bytes(b"\xff")
    with pytest.raises(OperatorError, match="not TOML in UTF-8"):
        cra_key_file.load(str(tmp_path / "keys.toml"))
    with pytest.raises(OperatorError, match=r"cra\.keys_file .* cannot be read"):
        cra_key_file.load(str(tmp_path / "none"))
