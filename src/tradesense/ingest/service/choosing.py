"""Which account a file's rows go into: the one asked for, else one for each account that the file names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from tradesense.accounts.service import AccountNotFound
from tradesense.brokers import registry
from tradesense.brokers.contract import NeedsInput, Question
from tradesense.brokers.reading import Reading
from tradesense.db.engine import WriteConnection
from tradesense.db.generations import AccountBusy, Tenure
from tradesense.http.authentication import UserId
from tradesense.ingest.repository import places
from tradesense.ingest.repository.places import Account
from tradesense.ingest.service.staging import Destination


class Named(NamedTuple):
    """An account as a file names it (None: not at all), and the currency of the first row that does."""

    label: str | None
    currency: str


def names(reading: Reading) -> list[Named]:
    """The accounts that a file names, in the order in which they first occur. Takes CPU time."""
    found: dict[str | None, str] = {}
    wanted = len(reading.accounts) + (sum(reading.accounts.values()) < reading.executions)
    for entry in reading.fills():
        if len(found) == wanted:
            break
        found.setdefault(entry.fill.account, entry.fill.instrument.currency)
    for moved in reading.movements():
        found.setdefault(moved.movement.account, moved.movement.currency)
    return [Named(label, currency) for label, currency in found.items()]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where each label of a file goes, and what is worth saying about it. `labels` are new names of old accounts."""

    destinations: Mapping[str | None, Destination]
    warnings: Sequence[str]
    labels: Mapping[UUID, str]

    @property
    def all(self) -> list[Destination]:
        """The accounts, each once."""
        return list({one.account.id: one for one in self.destinations.values()}.values())


class Choice:
    """Finds or creates the accounts of one import, and claims them."""

    def __init__(self, connection: WriteConnection, tenure: Tenure, user_id: UserId, broker: str, at: datetime) -> None:
        self._connection = connection
        self._tenure = tenure
        self._user_id = user_id
        self._broker = broker
        self._at = at
        self._labels: dict[UUID, str] = {}

    async def asked_for(self, account_id: UUID, named: Sequence[Named]) -> Chosen:
        """Everything goes into the account that the person named; raises `AccountNotFound`, `AccountBusy`."""
        account = await places.find_account(self._connection, self._user_id, account_id)
        if account is None:
            raise AccountNotFound
        destination = await self._claimed(account)
        labels = [one.label for one in named if one.label is not None]
        return Chosen({one.label: destination for one in named}, _doubts(labels, account), {})

    async def by_label(self, named: Sequence[Named]) -> Chosen:
        """Each label has its account; raises `NeedsInput` where rows without one could go into several, `AccountBusy`.

        A single label takes over the user's only account of the broker, if that has no label yet: another format of the
        same broker, which names no account, may have been there first.
        """
        theirs = await places.accounts_of_broker(self._connection, self._user_id, self._broker)
        labelled = [one for one in named if one.label is not None]
        found: dict[str | None, Destination] = {}
        for one in labelled:
            account = _labelled(theirs, one.label) or self._taken_over(theirs, labelled)
            found[one.label] = await (self._claimed(account) if account else self._created(one))
        for one in named:
            if one.label is None:
                found[None] = await self._unlabelled(one, theirs, list(found.values()))
        return Chosen(found, [], self._labels)

    def _taken_over(self, theirs: Sequence[Account], labelled: Sequence[Named]) -> Account | None:
        if len(labelled) == len(theirs) == 1 and theirs[0].label is None and labelled[0].label is not None:
            self._labels[theirs[0].id] = labelled[0].label
            return theirs[0]
        return None

    async def _unlabelled(self, one: Named, theirs: Sequence[Account], found: Sequence[Destination]) -> Destination:
        if len(found) == 1:
            return found[0]
        if len(theirs) == 1 and not found:
            return await self._claimed(theirs[0])
        if theirs or found:
            raise NeedsInput(_question([*theirs, *(each.account for each in found if each.is_created)]))
        return await self._created(one)

    async def _claimed(self, account: Account) -> Destination:
        claim = await self._tenure.claim(self._connection, account.id)
        now = await places.find_account(self._connection, self._user_id, account.id)
        if now is None:
            raise AccountBusy  # deleted just now: choose again in a moment
        return Destination(now, claim)

    async def _created(self, one: Named) -> Destination:
        account_id = await places.add_account(
            self._connection,
            self._user_id,
            name=one.label or registry.title(self._broker),
            broker=self._broker,
            label=one.label,
            currency=one.currency,
            at=self._at,
        )
        account = await places.get_unshown(self._connection, account_id)
        return Destination(account, await self._tenure.claim(self._connection, account_id), is_created=True)


def _doubts(labels: Sequence[str], into: Account) -> list[str]:
    """What to say where a file names other accounts than the one that it goes into."""
    if len(labels) > 1:
        return [f"the file names several accounts ({', '.join(labels)}); all of it went into {into.name}"]
    if labels and into.label not in {None, *labels}:
        return [
            f"the file names the account {labels[0]}; all of it went into {into.name}, whose files name {into.label}"
        ]
    return []


def _labelled(accounts: Iterable[Account], label: str | None) -> Account | None:
    return next((account for account in accounts if account.label == label), None)


def _question(accounts: Sequence[Account]) -> Question:
    told = ", ".join(f"{account.name} ({account.id})" for account in accounts)
    why = f"the file does not say which account it is of, and there are several of this broker: {told}"
    return Question("account_id", why, tuple(str(account.id) for account in accounts))
