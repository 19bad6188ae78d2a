"""What child and parent say to each other, and what the parent believes of it."""

import io
import json

import pytest

from mamkit.transcode import (
    ChildCrashedError,
    ChildProtocolError,
    EncodeError,
    MediaTooLargeError,
    NoMediaError,
    TranscodeError,
)
from mamkit.transcode import errors as all_errors
from mamkit.transcode.containment._wire import Message, Receiver, from_wire, send, to_wire


def sent(*messages: Message) -> bytes:
    pipe = io.BytesIO()
    for message in messages:
        send(pipe, message)
    return pipe.getvalue()


MESSAGES = [Message("a", {"n": 1}), Message("b", None, b"\n{}\x00" * 100), Message("c", ["é"], b"")]


@pytest.mark.parametrize("block", [1, 7, 100, 10_000])
def test_messages_arrive_whole_however_they_are_cut(block: int) -> None:
    wire = sent(*MESSAGES)
    receiver = Receiver(most_data=1000)
    heard = [message for n in range(0, len(wire), block) for message in receiver.feed(wire[n : n + block])]
    assert heard == MESSAGES


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[]\n",
        b"{}\n",
        b'{"kind": "a", "body": 1}\n',
        b'{"kind": 1, "body": 1, "bytes": 0}\n',
        b'{"kind": "a", "body": 1, "bytes": -1}\n',
        b'{"kind": "a", "body": 1, "bytes": true}\n',
        b'{"kind": "a", "body": 1, "bytes": 1.5}\n',
        b'{"kind": "a", "body": 1, "bytes": 1001}\n',
        b'{"kind": "a", "body": 1, "bytes": 0, "more": 0}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"x" * ((4 << 20) + 1),
    ],
    ids=lambda line: line[:20],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(ChildProtocolError):
        list(Receiver(most_data=1000).feed(line))


@pytest.mark.parametrize(
    "error",
    [
        NoMediaError("it is no film", detail="moov atom not found"),
        MediaTooLargeError("too many pixels", quantity="pixels", value=1e9, limit=1e6),
        EncodeError("no encoder", encoder="libx264"),
        ChildCrashedError("gone", signal="SIGSEGV", stderr="a\nb"),
    ],
)
def test_an_error_crosses_the_border_with_its_evidence(error: TranscodeError) -> None:
    arrived = from_wire(json.loads(json.dumps(to_wire(error))))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_every_error_of_transcoding_can_cross_the_border() -> None:
    evidence = {"quantity": "q", "value": 1, "limit": 2, "seconds": 3}
    for name in all_errors.__all__:
        kind = getattr(all_errors, name)
        try:
            error = kind("why")
        except TypeError:
            accepted = kind.__init__.__annotations__
            error = kind("why", **{key: value for key, value in evidence.items() if key in accepted})
        assert type(from_wire(json.loads(json.dumps(to_wire(error))))) is kind


@pytest.mark.parametrize(
    "body",
    [
        None,
        "error",
        [],
        {},
        {"code": "no.such", "message": "", "evidence": {}},
        {"code": ["transcode.media"], "message": "", "evidence": {}},
        {"code": "transcode.media", "message": "", "evidence": {"no_such": 1}},
        {"code": "transcode.media", "message": "", "evidence": 3},
        {"code": "transcode.media_too_large", "message": "", "evidence": {}},
    ],
)
def test_an_error_that_is_none_is_an_error_all_the_same(body: object) -> None:
    assert type(from_wire(body)) is ChildProtocolError
