"""Registration, login and the page of one's sessions."""

import re
from datetime import timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from tradesense.http.authentication import (
    Administrator,
    AdminRequired,
    Authentication,
    CrossSiteRequest,
    CurrentUser,
    SessionRequired,
    SignedInUser,
    UserId,
    refuse_other_sites,
)
from tradesense.http.limits import TheLimits, enforce_login, enforce_password_change, enforce_registration
from tradesense.http.paging import Page
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.http.versions import put_data_version
from tradesense.security.schemas import (
    ApiKeyMade,
    ApiKeyRequest,
    ApiKeyView,
    Credentials,
    LoggedIn,
    PasswordChange,
    Preferences,
    Registered,
    Registration,
    SessionView,
    UserView,
)
from tradesense.security.service.keys import ApiKeys
from tradesense.security.service.logins import Logins
from tradesense.security.service.refusals import (
    ApiKeyNotFound,
    EmailTaken,
    ExpiryPassed,
    InvalidCredentials,
    LoginsBusy,
    NoSuchUser,
    RegistrationClosed,
    SessionNotFound,
    TooManyApiKeys,
    UserDisabled,
    WrongPassword,
)
from tradesense.security.service.users import Client, Users, normal_email

router = APIRouter()

_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")
_LONGEST_USER_AGENT: Final = 300


async def _client(request: Request) -> Client:
    agent = _UNPRINTABLE.sub(" ", request.headers.get("user-agent", ""))[:_LONGEST_USER_AGENT]
    return Client(request.client.host if request.client else None, agent or None)


AskedBy = Annotated[Client, Depends(_client)]
TheUsers = Annotated[Users, Depends(provided("users", Users))]
TheLogins = Annotated[Logins, Depends(provided("logins", Logins))]
TheKeys = Annotated[ApiKeys, Depends(provided("api_keys", ApiKeys))]
TheAuthentication = Annotated[Authentication, Depends(provided("authentication", Authentication))]


@router.post(
    "/auth/register",
    tags=["auth"],
    status_code=201,
    dependencies=[Depends(refuse_other_sites)],
    responses=refusals(RegistrationClosed, CrossSiteRequest, EmailTaken, LoginsBusy),
)
async def register(registration: Registration, users: TheUsers, client: AskedBy, limits: TheLimits) -> Registered:
    """Become a user; log in next."""
    await enforce_registration(limits, client.ip)
    password = registration.password.get_secret_value()
    user = await users.register(registration.email, password, registration.timezone, registration.currency, client)
    return Registered(user=UserView.of(user))


@router.post(
    "/auth/login",
    tags=["auth"],
    dependencies=[Depends(refuse_other_sites)],
    responses=refusals(InvalidCredentials, UserDisabled, CrossSiteRequest, LoginsBusy),
)
async def login(
    credentials: Credentials,
    logins: TheLogins,
    authentication: TheAuthentication,
    client: AskedBy,
    limits: TheLimits,
    response: Response,
) -> LoggedIn:
    """Begin a session. Its token is the bearer token; browsers get it as a cookie that scripts cannot read."""
    await enforce_login(limits, normal_email(credentials.email), client.ip)
    token, user = await logins.log_in(credentials.email, credentials.password.get_secret_value(), client)
    authentication.session_cookie.put(response, token)
    return LoggedIn(access_token=token, expires_in=_seconds(logins.lifetimes.idle), user=UserView.of(user))


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())


@router.post("/auth/logout", tags=["auth"], status_code=204, responses=refusals(SessionRequired))
async def logout(
    user: SignedInUser, logins: TheLogins, authentication: TheAuthentication, client: AskedBy, response: Response
) -> None:
    """End this session."""
    await logins.log_out(user, client)
    authentication.session_cookie.take_back(response)


@router.get("/auth/me", tags=["auth"])
async def me(user: CurrentUser, users: TheUsers) -> UserView:
    """Who I am."""
    return UserView.of(await users.get(user.user_id))


@router.patch("/auth/me", tags=["auth"])
async def edit_me(preferences: Preferences, user: CurrentUser, users: TheUsers, response: Response) -> UserView:
    """Set the time zone that my days are counted in, or my currency."""
    edited = await users.edit(user.user_id, preferences.model_dump(exclude_none=True), user.key_id or None)
    put_data_version(response, edited.data_version)
    return UserView.of(edited)


@router.post(
    "/auth/change-password",
    tags=["auth"],
    status_code=204,
    responses=refusals(WrongPassword, UserDisabled, LoginsBusy, SessionRequired),
)
async def change_password(
    change: PasswordChange,
    user: SignedInUser,
    logins: TheLogins,
    authentication: TheAuthentication,
    client: AskedBy,
    limits: TheLimits,
    response: Response,
) -> None:
    """Set another password and end my other sessions. A browser's cookie is replaced; a bearer token stays."""
    await enforce_password_change(limits, user.user_id, client.ip)
    current, new = change.current_password.get_secret_value(), change.new_password.get_secret_value()
    token = await logins.change_password(user, current, new, client)
    if token is not None:
        authentication.session_cookie.put(response, token)


@router.get("/sessions", tags=["sessions"], responses=refusals(SessionRequired))
async def list_sessions(user: SignedInUser, logins: TheLogins) -> Page[SessionView]:
    """My sessions, newest use first; all on one page."""
    sessions = await logins.sessions(user)
    return Page(items=[SessionView.of(each, user.session_id) for each in sessions], next=None)


@router.delete(
    "/sessions/{session_id}", tags=["sessions"], status_code=204, responses=refusals(SessionNotFound, SessionRequired)
)
async def end_session(session_id: UUID, user: SignedInUser, logins: TheLogins, client: AskedBy) -> None:
    """End one of my sessions."""
    await logins.end_session(user, str(session_id), client)


@router.delete("/sessions", tags=["sessions"], status_code=204, responses=refusals(SessionRequired))
async def end_sessions(
    user: SignedInUser,
    logins: TheLogins,
    client: AskedBy,
    keep: Annotated[
        Literal["current"] | None, Query(description="`current` spares the session of this request.")
    ] = None,
) -> None:
    """End all of my sessions: log out everywhere, or everywhere else."""
    await logins.end_sessions(user, client, keep_current=keep == "current")


@router.delete(
    "/users/{user_id}/sessions",
    tags=["admin"],
    status_code=204,
    responses=refusals(NoSuchUser, AdminRequired, SessionRequired),
)
async def end_sessions_of_user(
    user_id: UUID, admin: Administrator, _: SignedInUser, logins: TheLogins, client: AskedBy
) -> None:
    """End all sessions of a user, as an administrator. Their API keys stay; a user who is disabled has neither."""
    await logins.end_sessions_of(admin, UserId(user_id), client)


@router.get("/api-keys", tags=["api keys"], responses=refusals(SessionRequired))
async def list_api_keys(user: SignedInUser, keys: TheKeys) -> Page[ApiKeyView]:
    """My API keys, the newest first; all on one page."""
    return Page(items=[ApiKeyView.of(each) for each in await keys.list(user)], next=None)


@router.post(
    "/api-keys",
    tags=["api keys"],
    status_code=201,
    responses=refusals(TooManyApiKeys, ExpiryPassed, SessionRequired),
)
async def make_api_key(asked: ApiKeyRequest, user: SignedInUser, keys: TheKeys, client: AskedBy) -> ApiKeyMade:
    """Make an API key. It acts for me, reading only or writing, too; it manages neither keys nor logins."""
    token, key = await keys.make(user, asked.name, asked.scope, asked.expires_at, client)
    return ApiKeyMade(token=token, **ApiKeyView.of(key).model_dump())


@router.delete(
    "/api-keys/{key_id}", tags=["api keys"], status_code=204, responses=refusals(ApiKeyNotFound, SessionRequired)
)
async def delete_api_key(key_id: UUID, user: SignedInUser, keys: TheKeys, client: AskedBy) -> None:
    """Let an API key open nothing any more."""
    await keys.delete(user, key_id, client)
