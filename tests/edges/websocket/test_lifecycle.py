"""The states of a connection: the table of moves, and any sequence of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.edges.websocket.lifecycle import MOVES, Event, State, moved
from wampush.state_machine import IllegalEvent


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (State.CONNECTING, Event.OPENED, State.OPEN),
        (State.CONNECTING, Event.STREAMED, State.STREAMING),
        (State.CONNECTING, Event.ENDED, State.ENDING),
        (State.CONNECTING, Event.DROPPED, State.DROPPED),
        (State.CONNECTING, Event.LOST, State.CLOSED),
        (State.OPEN, Event.ENDED, State.ENDING),
        (State.OPEN, Event.DROPPED, State.DROPPED),
        (State.OPEN, Event.LOST, State.CLOSED),
        (State.OPEN, Event.MOVED, State.MOVED),
        (State.CONNECTING, Event.MOVED, State.MOVED),
        (State.STREAMING, Event.ENDED, State.ENDING),
        (State.STREAMING, Event.DROPPED, State.DROPPED),
        (State.STREAMING, Event.LOST, State.CLOSED),
        (State.ENDING, Event.SENT, State.LINGERING),
        (State.ENDING, Event.DROPPED, State.DROPPED),
        (State.ENDING, Event.LOST, State.CLOSED),
        (State.LINGERING, Event.DROPPED, State.DROPPED),
        (State.LINGERING, Event.LOST, State.CLOSED),
        (State.DROPPED, Event.LOST, State.CLOSED),
    ],
)
def test_legal_moves(state: State, event: Event, after: State) -> None:
    assert moved(state, event) is after


def test_every_other_move_is_a_defect() -> None:
    illegal = {(state, event) for state in State for event in Event if (state, event) not in MOVES}
    assert illegal == {
        (State.CONNECTING, Event.SENT),
        (State.OPEN, Event.OPENED),
        (State.OPEN, Event.STREAMED),
        (State.OPEN, Event.SENT),
        (State.STREAMING, Event.OPENED),
        (State.STREAMING, Event.STREAMED),
        (State.STREAMING, Event.SENT),
        (State.ENDING, Event.OPENED),
        (State.ENDING, Event.STREAMED),
        (State.ENDING, Event.ENDED),
        (State.LINGERING, Event.OPENED),
        (State.LINGERING, Event.STREAMED),
        (State.LINGERING, Event.ENDED),
        (State.LINGERING, Event.SENT),
        (State.DROPPED, Event.OPENED),
        (State.DROPPED, Event.STREAMED),
        (State.DROPPED, Event.ENDED),
        (State.DROPPED, Event.SENT),
        (State.DROPPED, Event.DROPPED),
        (State.CLOSED, Event.OPENED),
        (State.CLOSED, Event.STREAMED),
        (State.CLOSED, Event.ENDED),
        (State.CLOSED, Event.SENT),
        (State.CLOSED, Event.DROPPED),
        (State.CLOSED, Event.LOST),
        *[(state, Event.MOVED) for state in set(State) - {State.OPEN, State.CONNECTING}],
        *[(State.MOVED, event) for event in Event],
    }
    for state, event in illegal:
        with pytest.raises(IllegalEvent) as raised:
            moved(state, event)
        assert (raised.value.state, raised.value.event) == (state, event)


@given(st.lists(st.sampled_from(Event)))
def test_a_connection_opens_ends_and_is_lost_at_most_once(events: list[Event]) -> None:
    state = State.CONNECTING
    seen: list[Event] = []
    for event in events:
        try:
            state = moved(state, event)
        except IllegalEvent:
            continue
        seen.append(event)
    assert len(seen) == len(set(seen))
    # What happened is in the order of Event: opened or streamed, ended, sent, dropped, lost.
    assert seen == [event for event in Event if event in seen]
    assert (state is State.CLOSED) == (Event.LOST in seen)
