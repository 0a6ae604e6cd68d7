"""Close codes that are the end: for the client, in its documents, and in the server's reasons."""

from __future__ import annotations

import json
import re

import pytest
from install_node_packages import CLIENT

from tests.support.client_js import ROOT, run_node_json
from wampush.reasons import CloseReason

PAGE = ROOT / "docs" / "reference" / "javascript.md"
#: What a browser reports when the connection ends without a Close frame.
NO_FRAME = 1006
#: How a reason says that a client is not to come back.
FOR_GOOD = "do not reconnect by themselves"


@pytest.fixture(scope="module")
def comes_back(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bool]:
    """What the client does after each code."""
    script = tmp_path_factory.mktemp("codes") / "codes.mjs"
    path = json.dumps(str(CLIENT / "src" / "close_codes.js"))
    script.write_text(
        f"import {{ comesBack }} from {path};\n"
        "const codes = Array.from({ length: 4000 }, (_, index) => 1000 + index);\n"
        "console.log(JSON.stringify(codes.map((code) => [code, comesBack(code)])));\n",
        encoding="utf-8",
    )
    return dict(run_node_json(script))


@pytest.mark.parametrize("reason", CloseReason, ids=lambda each: each.code)
def test_the_client_does_what_the_servers_reason_says(
    comes_back: dict[int, bool], reason: CloseReason
) -> None:
    code = reason.value.close_code or NO_FRAME
    assert comes_back[code] is (FOR_GOOD not in reason.sentence)


def test_a_reason_for_good_has_a_code_that_says_so() -> None:
    codes = {each.value.close_code for each in CloseReason if FOR_GOOD in each.sentence}
    assert codes == {3000}


def test_the_table_of_the_docs(comes_back: dict[int, bool]) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("### Close codes\n")[2]
    listed = set()
    for cells in re.findall(r"^\| (.*[0-9].*) \| (yes|no) \| ", text, re.MULTILINE):
        for first, last in re.findall(r"([0-9]{4})(?: to ([0-9]{4}))?", cells[0]):
            for code in range(int(first), int(last or first) + 1):
                assert comes_back[code] is (cells[1] == "yes"), code
                listed.add(code)
    # Each code that is the end, and each that the server sends.
    assert {code for code, returns in comes_back.items() if not returns} <= listed
    assert {each.value.close_code or NO_FRAME for each in CloseReason} <= listed
