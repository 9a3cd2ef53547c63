"""Logins: coming in and going out."""

from keel.clock import Clock
from keel.sessions.contract import Lifetimes, Session, SessionStore
from tradesense.db.engine import Database
from tradesense.http.authentication import Principal, UserId
from tradesense.security.repository import users as repository
from tradesense.security.repository.users import User
from tradesense.security.service.passwords import Passwords
from tradesense.security.service.refusals import InvalidCredentials, NoSuchUser, SessionNotFound, WrongPassword
from tradesense.security.service.users import Client, Users, normal_email


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
            if not await repository.replace_password(connection, user.id, user.password_hash, kept):
                raise WrongPassword  # it was changed while this one was being checked
            await repository.record(
                connection, self._clock.now(), "password.changed", user=user.id, subject=who.session_id, ip=client.ip
            )
        await self._sessions.revoke_others(who.user_id, who.session_id)
        return await self._sessions.rotate(who.token) if who.by_cookie else None

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

    async def end_sessions_of(self, admin: Principal, user: UserId, client: Client) -> None:
        """End all of a user's sessions, as an administrator; raises `NoSuchUser`."""
        async with self._database.write() as connection:
            if await repository.find_user(connection, user) is None:
                raise NoSuchUser
            subject, now = str(admin.user_id), self._clock.now()
            await repository.record(connection, now, "sessions.ended", user=user, subject=subject, ip=client.ip)
        await self._sessions.invalidate_user_sessions(user)

    async def _record(self, action: str, user: UserId | None, client: Client, subject: str | None = None) -> None:
        details = {"user_agent": client.user_agent} if client.user_agent else None
        async with self._database.write() as connection:
            await repository.record(
                connection, self._clock.now(), action, user=user, subject=subject, ip=client.ip, details=details
            )
