"""How a value lies on the server: a flag, an id, what one must know of it, and its bytes, compressed if long."""

import os
import struct
from typing import Final

import msgspec
import zstandard

from keel.cache.codec import Undecodable
from keel.cache.contract import Stamps, Stored, Versions

SOFT: Final = b"\x01"
"""The first byte of a value that was invalidated softly; `invalidate.lua` writes it over the one that was there."""
FRESH: Final = b"\x00"
ID_BYTES: Final = 8
ID_AT: Final = 1
"""Where the id lies in a frame; `lease.lua` reads it there."""
LONG: Final = 4096
"""Bytes from which a value is compressed."""
_LARGEST: Final = 256 << 20
_PLAIN: Final = 1
_ZSTD: Final = 2
_FIXED: Final = struct.Struct(f">c{ID_BYTES}sBI")
_MARK_BYTES: Final = ID_AT + ID_BYTES


class Head(msgspec.Struct, array_like=True, gc=False):
    """What must be known of a value; see `Stored`."""

    fresh_until: float
    expires: float
    stamps: Versions
    tags: tuple[str, ...]
    version: int | None
    cost_s: float
    ttl: float = 0.0


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A frame without its value. `mark` are the flag and the id, by which a frame is known again."""

    mark: bytes
    head: Head
    start: int
    form: int
    is_soft: bool


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Head)


def new_id() -> bytes:
    """An id that no other value has."""
    return os.urandom(ID_BYTES)


def write(value: Stored) -> bytes:
    """The bytes to be stored."""
    payload, form = value.payload, _PLAIN
    if len(payload) >= LONG:
        shorter = zstandard.ZstdCompressor(level=1).compress(payload)
        if len(shorter) < len(payload):
            payload, form = shorter, _ZSTD
    stamps = value.stamps.versions
    head = _ENCODER.encode(
        Head(value.fresh_until, value.expires, stamps, value.tags, value.version, value.cost_s, value.ttl)
    )
    flag = SOFT if value.is_soft else FRESH
    return b"".join((_FIXED.pack(flag, value.id, form, len(head)), head, payload))


def identity(frame: bytes) -> bytes:
    """The id of whatever lies there, readable or not."""
    return frame[ID_AT : ID_AT + ID_BYTES]


def read(frame: bytes) -> Stored:
    """What `write` wrote; raises Undecodable for anything else."""
    known = opened(frame, None)
    head = known.head
    return Stored(
        identity(frame),
        payload(frame, known),
        head.fresh_until,
        head.expires,
        Stamps(head.stamps),
        head.tags,
        head.version,
        head.cost_s,
        head.ttl,
        known.is_soft,
    )


def opened(frame: bytes, before: Opened | None) -> Opened:
    """What is known of a value; `before`, where that was the same one. Raises Undecodable for what `write` wrote not.

    It is for who reads the same values again and again: half of the time that `read` takes goes into this.
    """
    mark = frame[:_MARK_BYTES]
    if before is not None and before.mark == mark:
        return before
    try:
        flag, _, form, length = _FIXED.unpack_from(frame)
        start = _FIXED.size + length
        return Opened(mark, _DECODER.decode(frame[_FIXED.size : start]), start, form, flag == SOFT)
    except (struct.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Undecodable(f"no value of this cache: {error}") from None


def payload(frame: bytes, known: Opened) -> bytes:
    """The bytes of the value itself; raises Undecodable where they are damaged."""
    if known.form == _PLAIN:
        return frame[known.start :]
    try:
        return _payload(known.form, frame[known.start :])
    except zstandard.ZstdError as error:
        raise Undecodable(f"no value of this cache: {error}") from None


def _payload(form: int, data: bytes) -> bytes:
    if form == _PLAIN:
        return data
    if form != _ZSTD:
        raise Undecodable(f"no value of this cache: form {form}")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=_LARGEST)
