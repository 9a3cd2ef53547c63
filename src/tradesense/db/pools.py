"""How the connections to the database are used, as metrics."""

from collections.abc import Iterator

from keel.metrics.contract import Reading
from tradesense.db.engine import Database


def readings(database: Database) -> Iterator[Reading]:
    """Connections in use and open, by pool: a `keel.metrics.contract.Source`."""
    for name, pool in database.pools.items():
        for state, count in (("used", pool.checkedout()), ("idle", pool.checkedin())):
            labels = {"pool": name, "state": state}
            yield Reading("db_client_connections", count, labels, "Connections to the database.")
