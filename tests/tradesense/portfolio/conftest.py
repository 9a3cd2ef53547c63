"""A user with something stored."""

import pytest

from tests.application import Person, Served
from tests.tradesense.analytics.stored import Store, store


@pytest.fixture
def stored(app: Served, user: Person) -> Store:
    """What the user has stored; nothing yet."""
    return store(app, user)
