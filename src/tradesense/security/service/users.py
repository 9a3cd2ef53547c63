"""Users: taking them in, what they may do, their preferences."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from keel.clock import Clock
from keel.ids import uuid7
from keel.sessions.contract import SessionStore
from tradesense.db import outbox
from tradesense.db.engine import Database
from tradesense.db.tables import Role
from tradesense.db.writes import Touches
from tradesense.http.authentication import UserId
from tradesense.http.versions import raise_data_version
from tradesense.security.repository import keys
from tradesense.security.repository import users as repository
from tradesense.security.repository.users import User
from tradesense.security.service.passwords import Passwords
from tradesense.security.service.refusals import EmailTaken, RegistrationClosed, UserDisabled, UserNotFound


@dataclass(frozen=True, slots=True)
class Client:
    """What a login comes from."""

    ip: str | None = None
    user_agent: str | None = None

    def data(self) -> Mapping[str, str]:
        """What is known of it, as a session keeps it."""
        known = {"ip": self.ip, "user_agent": self.user_agent}
        return {name: value for name, value in known.items() if value}


def normal_email(email: str) -> str:
    """The form in which addresses are kept and compared."""
    return unicodedata.normalize("NFC", email.strip()).lower()


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether whoever comes may become a user, and what those have who do not say: their time zone and currency."""

    open_to_all: bool = True
    timezone: str = "UTC"
    currency: str = "USD"


class Users:
    """The users of this instance: taking them in, what they may do, their preferences."""

    def __init__(
        self, database: Database, clock: Clock, passwords: Passwords, sessions: SessionStore, admission: Admission
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._sessions = sessions
        self._admission = admission

    async def register(
        self, email: str, password: str, timezone: str | None, currency: str | None, client: Client
    ) -> User:
        """Take in whoever asks; raises `RegistrationClosed`, `EmailTaken`."""
        if not self._admission.open_to_all:
            raise RegistrationClosed
        return await self.create(email, password, timezone, currency, client=client)

    async def create(
        self,
        email: str,
        password: str,
        timezone: str | None = None,
        currency: str | None = None,
        *,
        role: Role = Role.USER,
        client: Client | None = None,
    ) -> User:
        """Take in a user; raises `EmailTaken`."""
        user = User(
            id=UserId(uuid7()),
            email=normal_email(email),
            password_hash=await self._passwords.hash(password),
            role=role,
            timezone=timezone or self._admission.timezone,
            currency=currency or self._admission.currency,
            data_version=0,
            ledger_version=0,
            labels_version=0,
            disabled_at=None,
            created_at=self._clock.now(),
        )
        ip = client.ip if client else None
        async with self._database.write() as connection:
            if not await repository.insert_user(connection, user):
                raise EmailTaken
            await repository.record(connection, self._clock.now(), "user.created", user=user.id, ip=ip)
        return user

    async def promote(self, email: str) -> User:
        """Make a user an administrator; raises `UserNotFound`."""
        return await self._change(email, "user.promoted", role=Role.ADMIN)

    async def disable(self, email: str) -> User:
        """Keep a user out from now on, and end their sessions; raises `UserNotFound`."""
        user = await self._change(email, "user.disabled", disabled_at=self._clock.now())
        await self._sessions.invalidate_user_sessions(user.id)
        return user

    async def _change(self, email: str, action: str, **values: object) -> User:
        user = await self.get_by_email(email)
        async with self._database.write() as connection:
            await repository.update_user(connection, user.id, values)
            await raise_data_version(connection, user.id, touches=Touches.NOTES)
            await repository.record(connection, self._clock.now(), action, user=user.id)
            if "disabled_at" in values and (hashes := await keys.hashes_of(connection, user.id)):
                await outbox.record_ended(connection, user.id, hashes)
        return replace(user, **values)  # type: ignore[arg-type]

    async def get(self, user_id: UserId) -> User:
        """The user, who is there; raises `UserDisabled` where they are not any more."""
        async with self._database.read() as connection:
            user = await repository.find_user(connection, user_id)
        if user is None or user.disabled_at is not None:
            raise UserDisabled
        return user

    async def get_by_email(self, email: str) -> User:
        """The user with this email address; raises `UserNotFound`."""
        async with self._database.read() as connection:
            user = await repository.find_user_by_email(connection, normal_email(email))
        if user is None:
            raise UserNotFound(email)
        return user

    async def edit(self, user_id: UserId, changes: Mapping[str, str], key_id: str | None = None) -> User:
        """Set a user's `timezone` or `currency`, which their figures are shown in; by which key, if by one."""
        async with self._database.write() as connection:
            if changes:
                await repository.update_user(connection, user_id, changes)
                await raise_data_version(connection, user_id)
                await repository.record(
                    connection, self._clock.now(), "user.edited", user=user_id, subject=key_id, details=dict(changes)
                )
        return await self.get(user_id)
