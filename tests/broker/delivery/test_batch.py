"""One row of publications, in several formats."""

from __future__ import annotations

from tests.broker.world import RecordingFormat
from wampush.broker.delivery.batch import Batch
from wampush.broker.publication import Position, Publication
from wampush.choices import SlowClient


def batch(*payloads: bytes) -> Batch:
    made = Batch("t", [], SlowClient.LATEST)
    made.publications.extend(
        Publication("t", payload, position=Position("e", number))
        for number, payload in enumerate(payloads)
    )
    return made


def test_a_chunk_is_made_once_for_each_format():
    made: list[tuple[bytes, str]] = []
    plain, packed = RecordingFormat("", made), RecordingFormat("v", made)
    some = batch(b"1", b"2")
    chunk = some.chunk(plain)
    assert chunk == b'15:[8,"t",1,"e",0]15:[8,"t",2,"e",1]'
    assert some.chunk(packed) == b'z15:[8,"t",1,"e",0]z15:[8,"t",2,"e",1]'
    assert some.chunk(plain) is chunk
    assert [name for _, name in made] == ["", "", "v", "v"]


def test_the_chunk_of_one_event_is_its_frame():
    assert batch(b"1").chunk(RecordingFormat("", [])) == b'15:[8,"t",1,"e",0]'


def test_frames_are_those_of_the_chunk():
    wire_format = RecordingFormat("", [])
    some = batch(b"1", b"2", b"3")
    assert b"".join(some.frames(wire_format)) == some.chunk(wire_format)
    assert len(some.frames(wire_format)) == 3
