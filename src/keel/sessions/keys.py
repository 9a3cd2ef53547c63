"""What sessions are called on the server, and what is written of them there."""

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from keel.sessions.contract import Kept, Subject

NOTICE_OF_ALL: Final = "e"


class State(msgspec.Struct, frozen=True, array_like=True):
    """A session as the server has it. `epoch` is that of the servers when the durable store was asked."""

    epoch: bytes
    kept: Kept

    def written(self) -> bytes:
        """As bytes."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(State)


def read_state(written: bytes | None) -> State | None:
    """The state; None where there is none, or one that another version of the program has written."""
    try:
        return None if written is None else _DECODER.decode(written)
    except msgspec.DecodeError:
        return None


def ms_until(end: datetime, now: datetime) -> int:
    """How long that is, in milliseconds, and never nothing."""
    return max(1, int((end - now).total_seconds() * 1000))


class ServerKeys:
    """The names, beneath the namespace. What belongs together has one hash tag: a hash of the token or of the user."""

    def __init__(self, namespace: str) -> None:
        self.tracked = f"{namespace}:ses:inv:"
        self.epoch = f"{namespace}:ses:e:{{e}}"
        self.servers = f"{namespace}:ses:r:{{e}}"
        self.notice_of_all = f"{self.tracked}{{{NOTICE_OF_ALL}}}"
        self._namespace = namespace

    def session(self, token_hash: bytes) -> str:
        """Where a session lies."""
        return f"{self._namespace}:ses:s:{{{token_hash.hex()}}}"

    def lease(self, token_hash: bytes) -> str:
        """Where the right to store a copy of it lies."""
        return f"{self._namespace}:ses:l:{{{token_hash.hex()}}}"

    def notice(self, token_hash: bytes) -> str:
        """The key beneath the tracked prefix by which all processes hear that a token has ended."""
        return f"{self.tracked}{{{token_hash.hex()}}}"

    def index(self, user_id: Subject) -> str:
        """Where the tokens of a user are listed."""
        digest = hashlib.blake2b(str(user_id).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{self._namespace}:ses:u:{{{digest}}}"

    def ended(self, notice: bytes) -> bytes | None:
        """The hash of the token that a notice is about; None where it is about all of them."""
        name = notice.decode("utf-8", "replace").removeprefix(self.tracked)[1:-1]
        try:
            return bytes.fromhex(name)
        except ValueError:
            return None
