"""Hash tags: what lets the keys of one thing lie in one slot of a cluster."""

import hashlib
from typing import Final

_LONGEST: Final = 200


def safe(name: str) -> str:
    """`name` as it may stand between braces; a digest in its place where it is empty or long, or has braces of its own.

    One with a `#` gets a digest as well, so that no name is what another one is shortened to.
    """
    if name and len(name) <= _LONGEST and "{" not in name and "}" not in name and "#" not in name:
        return name
    return f"#{hashlib.blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def hash_tag(name: str) -> str:
    """`name` in braces, as part of a key, as far as it may stand there."""
    return f"{{{safe(name)}}}"
