"""Hash tags: what lets the keys of one thing lie in one slot of a cluster."""

import hashlib
from typing import Final

_LONGEST: Final = 200
_UNSAFE: Final = frozenset("{}#")


def hash_tag(name: str) -> str:
    """`name` in braces, as part of a key; a digest in its place where it is long or has braces (or `#`) of its own."""
    if name and len(name) <= _LONGEST and _UNSAFE.isdisjoint(name):
        return f"{{{name}}}"
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{{#{digest}}}"
