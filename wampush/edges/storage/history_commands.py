"""The commands by which nodes use the history of topics in Redis, and its replies.

Owns: the arguments of the scripts, and the reading of what they return. Pure. Must not import:
Twisted.

What comes from Redis is checked before it is believed: others may write there.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from itertools import count
from typing import Final

from wampush.broker.backplane.contract import topic_channel
from wampush.broker.backplane.node_message import NodeMessage, decoded, header
from wampush.broker.history.journal import StoredRow
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.history.stored_event import OVERHEAD_BYTES, EventFields, fields_of
from wampush.broker.memory_costs import audience_bytes
from wampush.broker.mirrors.contract import Cursor, Entry, Place, Run, Slice, Stored, Top
from wampush.broker.publication import EVERYONE, Position, Publication
from wampush.edges.storage.history_scripts import PUBLISH, READ, RENEW, Script
from wampush.errors import BackendError, PublicationRefused, PushRefused, Refusal
from wampush.excerpts import shown_json

#: Milliseconds for which the id of a push is known.
PUSH_KNOWN: Final = 300_000
#: Milliseconds after which a topic is forgotten that nobody publishes to and no node follows.
IDLE: Final = 7 * 86_400_000
#: Milliseconds after which one is forgotten that nobody has ever published to, and no node follows.
EMPTY: Final = 3_600_000
#: Bytes of one slice; a single event may be longer.
SLICE_BYTES: Final = 256 * 1024
#: The kind of the message that announces another epoch.
RENEWED: Final = "renewed"

Words = Sequence[bytes]


class UnexpectedReply(BackendError):
    """Redis has not answered as the script does."""


class HistoryCommands:
    """Writes the commands of one node, and reads the replies.

    :param node: names this node in Redis.
    :param prefix: what all keys and channels begin with; contains the ``{tag}``.
    :param rules: what is kept of which topics.
    :param max_bytes: of the longest message, header included.
    """

    def __init__(self, node: str, prefix: str, rules: HistoryRules, max_bytes: int) -> None:
        self.node: Final = node
        self._prefix = prefix.encode()
        self._rules = rules
        self._max_bytes = max_bytes
        #: The scripts whose text was sent to the server over the present link, and which sending of
        #: a text that was. Commands are carried out in their order, so those after it need the
        #: digest only.
        self._sent: dict[Script, int] = {}
        self._sendings = count(1)

    # Scripts.

    def sending_of(self, script: Script) -> int:
        """Return which sending of its text the newest command with a script relies on."""
        return self._sent.get(script, 0)

    def forget(self, script: Script, sending: int) -> None:
        """Take note that the server does not have a script.

        :param sending: what the command has relied on that the server could not carry out; if the
            text was sent since, the server has it.
        """
        if self._sent.get(script) == sending:
            del self._sent[script]

    def forget_all(self) -> None:
        """Take note that the link is lost: the next server may have no script."""
        self._sent.clear()

    # Commands.

    def publish(self, entry: Entry, run: str) -> Words:
        """Return the command that stores a publication.

        :param run: of the server.
        :raises PublicationRefused: it names something that is not text.
        """
        publication = entry.publication
        audience, payload = publication.audience, publication.payload
        message = NodeMessage(self.node, entry.number, payload, audience=audience)
        keys = [self._key("q", self.node)]
        try:
            if entry.push_id:
                keys.append(self._key("i", entry.push_id))
            # The script writes the rest of the header.
            head = header(message)[:-1]
            parts: list[bytes] = []
            size = len(payload) + OVERHEAD_BYTES
            if audience is not EVERYONE:
                size += audience_bytes(audience)
            topics = [each.topic for each in publication.by_topic()]
            for topic in topics:
                self._add_topic(topic, publication, keys, parts)
        except (TypeError, UnicodeEncodeError) as error:
            detail = f"Its topic, audience or id: {error}."
            raise PublicationRefused(Refusal.BACKPLANE_AWAY, detail) from error
        return [
            *self._script(PUBLISH, keys),
            b"%d" % entry.number,
            b"%d" % entry.settled,
            run.encode(),
            self._claim(entry) if entry.push_id else b"",
            b"%d" % PUSH_KNOWN,
            head,
            payload,
            b"%d" % size,
            b"%d" % len(topics),
            *parts,
        ]

    def carried_out(self, entries: Sequence[Entry]) -> Words:
        """Return the command that asks which publications of this node were carried out."""
        ids = [self._key("i", each.push_id) for each in entries if each.push_id]
        return [b"MGET", self._key("q", self.node), *ids]

    def read(self, topic: str, cursor: Cursor, run: str) -> Words:
        """Return the command that reads a part of what a topic keeps."""
        return [
            *self._script(READ, self._keys(topic)),
            _new_epoch(),
            run.encode(),
            b"%d" % EMPTY,
            _after(cursor.values_after),
            _after(cursor.events_after),
            b"%d" % SLICE_BYTES,
            b"%d" % IDLE,
            b"1" if self._has_age(topic) else b"0",
        ]

    def renew(self, topic: str, epoch: str, run: str) -> Words:
        """Return the command that begins another epoch of a topic.

        :param epoch: the present one.
        """
        head = header(NodeMessage(self.node, 0, b"null", RENEWED))[:-1]
        return [
            *self._script(RENEW, self._keys(topic)[:1]),
            epoch.encode(),
            _new_epoch(),
            run.encode(),
            head,
            self._prefix + topic_channel(topic).encode(),
        ]

    def top(self, topic: str) -> Words:
        """Return the command that reads where a topic is."""
        return [b"HMGET", self._key("h", topic), b"e", b"o", b"g"]

    def keep(self, topic: str) -> Sequence[Words]:
        """Return the commands that keep a topic from being forgotten."""
        keys = self._keys(topic)
        idle = b"%d" % IDLE
        # Events and values of topics with an age are not kept longer than that.
        kept = (keys[0], *keys[4:]) if self._has_age(topic) else keys
        return [[b"PEXPIRE", key, idle] for key in kept]

    # Replies.

    def stored(self, entry: Entry, run: str, reply: object) -> Stored | PublicationRefused:
        """Return what has become of a publication.

        :raises UnexpectedReply: the reply says nothing about it.
        """
        words = _words(reply)
        kind = words[0] if words else b""
        if kind == b"OK":
            return Stored([_place(each, run) for each in words[1:]])
        if kind == b"STALE" and len(words) == 2:
            detail = f"{words[1].decode('ascii', 'replace')[:40]} was published before."
            return PublicationRefused(Refusal.STALE, detail)
        if kind in (b"KNOWN", b"DONE") and len(words) == 2:
            claim, *places = words[1].split(b"\n")
            is_known = bool(words[1])
            if is_known and claim.split(b" ")[0] != entry.digest.encode():
                return PublicationRefused(Refusal.ID_REUSED, f"It is {shown_json(entry.push_id)}.")
            found = [_place(each, "") for each in places] if is_known else ()
            # The answer that another publication had been the first may have been lost as well.
            is_repeated = is_known and claim != self._claim(entry)
            return Stored(found, is_repeated=is_repeated, is_late=not is_repeated)
        raise UnexpectedReply(f"unexpected answer to a publication: {_excerpt(reply)}")

    def are_carried_out(self, entries: Sequence[Entry], reply: object) -> list[bool]:
        """Return which publications of this node were carried out.

        :raises UnexpectedReply: the reply does not say.
        """
        num_ids = sum([bool(each.push_id) for each in entries])
        if not isinstance(reply, list) or len(reply) != 1 + num_ids:
            raise UnexpectedReply(f"unexpected answer about publications: {_excerpt(reply)}")
        try:
            newest, missing = _carried_out(reply[0])
            claims = [None if each is None else each.split(b"\n")[0] for each in reply[1:]]
        except (AttributeError, TypeError, ValueError) as error:
            raise UnexpectedReply(f"{error}: {_excerpt(reply)}") from error
        of_ids = iter(claims)
        found = []
        for entry in entries:
            if entry.push_id:
                found.append(next(of_ids) == self._claim(entry))
            else:
                number = entry.number
                is_missing = any(first <= number <= last for first, last in missing)
                found.append(number <= newest and not is_missing)
        return found

    def slice(self, reply: object) -> Slice:
        """Return a part of what a topic keeps.

        :raises UnexpectedReply: the reply is not one.
        """
        if not isinstance(reply, list) or len(reply) != 8:
            raise UnexpectedReply(f"unexpected answer to a read: {_excerpt(reply)}")
        epoch, offset, runs, previous, now, is_whole, values, events = reply
        try:
            return Slice(
                Position(epoch.decode(), int(offset)),
                _runs(runs),
                previous.decode(),
                int(now) / 1000,
                list(map(self._row, values)),
                list(map(self._row, events)),
                is_whole == 1,
            )
        except (AttributeError, TypeError, ValueError, PushRefused) as error:
            raise UnexpectedReply(f"{error}: {_excerpt(reply)}") from error

    @staticmethod
    def top_of(reply: object) -> Top | None:
        """Return where a topic is; None where Redis does not know it.

        :raises UnexpectedReply: the reply is not one.
        """
        if isinstance(reply, list) and len(reply) == 3:
            epoch, offset, runs = reply
            if epoch is None:
                return None
            try:
                return Top(Position(epoch.decode(), int(offset)), _runs(runs)[-1].name)
            except (AttributeError, TypeError, ValueError, IndexError) as error:
                raise UnexpectedReply(f"{error}: {_excerpt(reply)}") from error
        raise UnexpectedReply(f"unexpected position of a topic: {_excerpt(reply)}")

    # Keys and arguments.

    def _claim(self, entry: Entry) -> bytes:
        """Return what Redis keeps of a push with an id: its digest, and which publication it is."""
        return f"{entry.digest} {self.node}:{entry.number}".encode()

    def _script(self, script: Script, keys: Sequence[bytes]) -> Words:
        """Return the beginning of a command; the whole text if the server may not have it.

        Only the first command over a link brings it: when a node comes back, thousands may wait,
        and the text is many times as long as most of them.
        """
        if script in self._sent:
            return [b"EVALSHA", script.sha, b"%d" % len(keys), *keys]
        self._sent[script] = next(self._sendings)
        return [b"EVAL", script.text, b"%d" % len(keys), *keys]

    def _key(self, kind: str, name: str) -> bytes:
        return self._prefix + f"{kind}:{name}".encode()

    def _keys(self, topic: str) -> Sequence[bytes]:
        """Return the keys of a topic, in the order in which the scripts take them."""
        return [self._key(kind, topic) for kind in "hsvkrw"]

    def _has_age(self, topic: str) -> bool:
        rule = self._rules.of(topic)
        return rule is not None and bool(rule.max_age)

    def _add_topic(
        self, topic: str, publication: Publication, keys: list[bytes], parts: list[bytes]
    ) -> None:
        channel = self._prefix + topic_channel(topic).encode()
        rule = self._rules.of(topic)
        if rule is None:
            parts += (b"p", channel)
            return
        keys += self._keys(topic)
        fields = fields_of(publication.payload, rule)
        version = b"" if fields.version is None else _number(fields.version)
        parts += (
            b"h",
            channel,
            _new_epoch(),
            b"%d" % rule.events,
            b"%d" % round(rule.max_age * 1000),
            b"%d" % rule.max_bytes,
            b"%d" % rule.keys,
            b"%d" % IDLE,
            _effect(rule, fields, is_value=not publication.audience.is_limited),
            (fields.key or "").encode(),
            version if fields.key is not None else b"",
        )

    def _row(self, text: bytes) -> StoredRow:
        """Return a stored event: its offset and time, a line feed, and the message."""
        first, _, message = text.partition(b"\n")
        offset, time, *_ = first.split(b" ")
        known = decoded(message, self._max_bytes)
        return StoredRow(int(offset), int(time) / 1000, known.payload, known.audience)


def run_of(reply: object) -> str:
    """Return the name of the present run of a server, from its answer to INFO replication.

    :raises UnexpectedReply: it does not say.
    """
    if isinstance(reply, bytes):
        for line in reply.splitlines():
            name, _, value = line.partition(b":")
            if name == b"master_replid" and value.isalnum():
                return value[:16].decode()
    raise UnexpectedReply(f"INFO replication does not name the run: {_excerpt(reply)}")


def _effect(rule: HistoryRule, fields: EventFields, *, is_value: bool) -> bytes:
    """Return what an event does to the values of its topic."""
    if not is_value or not (rule.last or rule.last_by):
        return b""
    if fields.key is None:
        return b"clear" if fields.removes else b""
    return b"remove" if fields.removes else b"set"


def _number(version: float) -> bytes:
    return repr(version).encode()


def _after(offset: int | None) -> bytes:
    return b"" if offset is None else b"%d" % offset


def _new_epoch() -> bytes:
    """Return the name of an epoch: 72 random bits, as URL-safe characters."""
    return secrets.token_urlsafe(9).encode()


def _words(reply: object) -> Sequence[bytes]:
    if isinstance(reply, list) and all(isinstance(each, bytes) for each in reply):
        return reply
    raise UnexpectedReply(f"unexpected answer: {_excerpt(reply)}")


def _place(text: bytes, run: str) -> Place | None:
    if not text:
        return None
    try:
        epoch, offset, time, nodes = text.decode().split(" ")
        return Place(Position(epoch, int(offset)), int(time) / 1000, run, int(nodes))
    except ValueError as error:
        raise UnexpectedReply(f"unexpected position: {_excerpt(text)}") from error


def _carried_out(text: bytes | None) -> tuple[int, Sequence[tuple[int, int]]]:
    """Return the newest number, and the ranges of lesser ones that were not carried out."""
    newest, *ranges = (text or b"0").split(b" ")
    missing = []
    for each in ranges:
        first, _, last = each.partition(b"-")
        missing.append((int(first), int(last)))
    return int(newest), missing


def _runs(text: bytes) -> Sequence[Run]:
    runs = []
    for each in text.decode().split():
        name, _, offset = each.rpartition(":")
        runs.append(Run(name, int(offset)))
    return runs


def _excerpt(reply: object) -> str:
    return repr(reply)[:200]
