"""Who may come in: users and their passwords, logins and their sessions, each change with its line of audit."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread
from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError

from keel.clock import Clock
from keel.errors import Conflict, Forbidden, NotAuthenticated, NotFound, Unavailable
from keel.ids import uuid7
from keel.sessions.contract import Lifetimes, Session, SessionStore
from tradesense.db.engine import Database
from tradesense.db.tables import Role
from tradesense.http.authentication import Principal, UserId
from tradesense.http.versions import raise_data_version
from tradesense.security.repository import users as repository
from tradesense.security.repository.users import User

T = TypeVar("T")

_LONGEST_QUEUE: Final = 100


class EmailTaken(Conflict):
    """Somebody is registered with this email address."""

    def __init__(self) -> None:
        super().__init__("Somebody is registered with this email address.")


class RegistrationClosed(Forbidden):
    """New users are not taken here."""

    def __init__(self) -> None:
        super().__init__("New users are not taken here; ask whoever runs this instance.")


class InvalidCredentials(NotAuthenticated):
    """Email address and password do not belong together."""

    def __init__(self) -> None:
        super().__init__("Email address and password do not belong together.")


class UserDisabled(NotAuthenticated):
    """The user has been disabled."""

    def __init__(self) -> None:
        super().__init__("The user has been disabled; ask whoever runs this instance.")


class WrongPassword(Forbidden):
    """The current password is another one."""

    def __init__(self) -> None:
        super().__init__("The current password is another one.")


class LoginsBusy(Unavailable):
    """Too many passwords are waiting to be checked."""

    def __init__(self) -> None:
        super().__init__(
            "Too many passwords are waiting to be checked; try again soon.", retry_after=timedelta(seconds=2)
        )


class UserNotFound(NotFound):
    """There is no such user."""

    def __init__(self, email: str) -> None:
        super().__init__(f"There is no user {email}.")


class SessionNotFound(NotFound):
    """There is no such session, or it has ended."""

    def __init__(self) -> None:
        super().__init__("There is no such session, or it has ended.")


@dataclass(frozen=True, slots=True)
class Client:
    """What a login comes from."""

    ip: str | None = None
    user_agent: str | None = None

    def data(self) -> Mapping[str, str]:
        """What is known of it, as a session keeps it."""
        known = {"ip": self.ip, "user_agent": self.user_agent}
        return {name: value for name, value in known.items() if value}


class Passwords:
    """Argon2id (RFC 9106) in threads, so few at once that memory stays bounded: `at_once` times `memory_kib`.

    The default cost is OWASP's (19 MiB, 2 passes, 1 lane). Raises `LoginsBusy` where too many wait for their turn.
    """

    def __init__(self, *, time_cost: int = 2, memory_kib: int = 19456, at_once: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost, memory_kib, parallelism=1, type=Type.ID)
        self._limiter = anyio.CapacityLimiter(at_once)
        self._nobodys = self._hasher.hash("the password of a user who does not exist")

    async def hash(self, password: str) -> str:
        """The hash to keep."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether the hash is of this password; takes as long where there is no hash."""
        return await self._run(lambda: self._verify(kept or self._nobodys, password)) and kept is not None

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, _normal(password))
        except VerificationError:
            return False

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made at another cost than today's."""
        return self._hasher.check_needs_rehash(kept)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._limiter.statistics().tasks_waiting >= _LONGEST_QUEUE:
            raise LoginsBusy
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def _normal(password: str) -> str:
    """The same password however it was typed (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


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
            await repository.record(connection, self._clock.now(), action, user=user.id)
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

    async def edit(self, user_id: UserId, changes: Mapping[str, str]) -> User:
        """Set a user's `timezone` or `currency`, which their figures are shown in."""
        async with self._database.write() as connection:
            if changes:
                await repository.update_user(connection, user_id, changes)
                await raise_data_version(connection, user_id)
                await repository.record(
                    connection, self._clock.now(), "user.edited", user=user_id, details=dict(changes)
                )
        return await self.get(user_id)


class Logins:
    """Coming in and going out."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        sessions: SessionStore,
        users: Users,
        lifetimes: Lifetimes,
    ) -> None:
        self.lifetimes = lifetimes
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._sessions = sessions
        self._users = users

    async def log_in(self, email: str, password: str, client: Client) -> tuple[str, User]:
        """A new session's token, and whose it is; raises `InvalidCredentials`, `UserDisabled`, `LoginsBusy`.

        An unknown address is answered as a wrong password is, and takes as long.
        """
        async with self._database.read() as connection:
            user = await repository.find_user_by_email(connection, normal_email(email))
        is_right = await self._passwords.verify(user.password_hash if user else None, password)
        await self._record("login" if is_right else "login.failed", user.id if user else None, client)
        if user is None or not is_right:
            raise InvalidCredentials
        token = await self._sessions.create_session(user.id, client.data())
        if not await self._still_right(user, password):
            await self._sessions.revoke(user.id, (await self._sessions.get(token)).id)
            raise InvalidCredentials
        await self._renew(user, password)
        return token, user

    async def _still_right(self, user: User, password: str) -> bool:
        """Whether the password counts now that the session is there.

        One that was changed while it was being checked ended all sessions but this one, which came later.
        """
        kept = (await self._users.get(user.id)).password_hash
        return kept == user.password_hash or await self._passwords.verify(kept, password)

    async def _renew(self, user: User, password: str) -> None:
        if self._passwords.is_outdated(user.password_hash):
            kept = await self._passwords.hash(password)
            async with self._database.write() as connection:
                await repository.replace_password(connection, user.id, user.password_hash, kept)

    async def change_password(self, who: Principal, current: str, new: str, client: Client) -> str | None:
        """Set another password and end the user's other sessions; raises `WrongPassword`.

        Returns this session's new token where it lives in a cookie; a bearer token stays what it is.
        """
        user = await self._users.get(who.user_id)
        if not await self._passwords.verify(user.password_hash, current):
            await self._record("password.refused", who.user_id, client)
            raise WrongPassword
        kept = await self._passwords.hash(new)
        # Before, so that none outlives a crash in between; after, for one that began meanwhile.
        await self._sessions.revoke_others(who.user_id, who.session_id)
        async with self._database.write() as connection:
            await repository.replace_password(connection, user.id, user.password_hash, kept)
            await repository.record(
                connection, self._clock.now(), "password.changed", user=user.id, subject=who.session_id, ip=client.ip
            )
        await self._sessions.revoke_others(who.user_id, who.session_id)
        return await self._sessions.rotate(who.token) if who.by_cookie else None

    async def identify(self, token: str) -> Principal:
        """Who holds this token; raises `NotAuthenticated` where nobody does, or a disabled user."""
        session = await self._sessions.touch(token)
        user = await self._users.get(_owner(session))
        return self._principal(user, session.id, token)

    async def acting_for(self, user_id: UserId) -> Principal:
        """The user as this process acts for them, without a session; raises `NotAuthenticated` for a disabled one."""
        return self._principal(await self._users.get(user_id), "", "")

    def _principal(self, user: User, session_id: str, token: str) -> Principal:
        return Principal(
            user_id=user.id,
            session_id=session_id,
            token=token,
            email=user.email,
            is_admin=user.role is Role.ADMIN,
            timezone=user.timezone,
            currency=user.currency,
            data_version=user.data_version,
            ledger_version=user.ledger_version,
            labels_version=user.labels_version,
            day=self._clock.now().astimezone(ZoneInfo(user.timezone)).toordinal(),
        )

    async def recently_active(self, limit: int) -> list[UserId]:
        """The users who have used a session last, the latest first."""
        async with self._database.read() as connection:
            return await repository.recently_active(connection, limit)

    async def log_out(self, who: Principal, client: Client) -> None:
        """End this session."""
        await self._record("logout", who.user_id, client, who.session_id)
        await self._sessions.revoke(who.user_id, who.session_id)

    async def sessions(self, who: Principal) -> list[Session]:
        """The user's sessions, newest use first."""
        return await self._sessions.get_user_sessions(who.user_id)

    async def end_session(self, who: Principal, session_id: str, client: Client) -> None:
        """End one of the user's sessions; raises `SessionNotFound`."""
        if not await self._sessions.revoke(who.user_id, session_id):
            raise SessionNotFound
        await self._record("session.revoked", who.user_id, client, session_id)

    async def end_sessions(self, who: Principal, client: Client, *, keep_current: bool) -> None:
        """End all of the user's sessions, or all but this one."""
        await self._record("sessions.revoked", who.user_id, client, who.session_id if keep_current else None)
        if keep_current:
            await self._sessions.revoke_others(who.user_id, who.session_id)
        else:
            await self._sessions.invalidate_user_sessions(who.user_id)

    async def _record(self, action: str, user: UserId | None, client: Client, subject: str | None = None) -> None:
        details = {"user_agent": client.user_agent} if client.user_agent else None
        async with self._database.write() as connection:
            await repository.record(
                connection, self._clock.now(), action, user=user, subject=subject, ip=client.ip, details=details
            )


def _owner(session: Session) -> UserId:
    return UserId(UUID(session.user_id))
