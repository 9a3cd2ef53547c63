"""What the security endpoints take and give."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from keel.sessions.contract import Session
from tradesense.db.tables import KeyScope, Role
from tradesense.http.types import Body, Currency, Edit, Line, Timestamp, TimeZone, View
from tradesense.security.repository.keys import ApiKey
from tradesense.security.repository.users import User
from tradesense.security.service.devices import device

_SHORTEST_PASSWORD: Final = 8

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=3,
        max_length=254,
        pattern=r"^[^\s@\u0000-\u001f\u007f]+@[^\s@\u0000-\u001f\u007f]+$",
    ),
    Field(examples=["trader@example.com"]),
]
"""An email address, checked for its form alone."""

Password = Annotated[SecretStr, Field(max_length=1000, examples=["correct horse battery staple"])]
"""A password, as it was typed."""


def _long_enough(password: SecretStr) -> SecretStr:
    if len(password.get_secret_value()) < _SHORTEST_PASSWORD:
        raise ValueError(f"a password has at least {_SHORTEST_PASSWORD} characters")
    return password


NewPassword = Annotated[
    Password, AfterValidator(_long_enough), Field(json_schema_extra={"minLength": _SHORTEST_PASSWORD})
]
"""A password to be: at least 8 characters (NIST SP 800-63B), whatever they are."""


class Registration(Body):
    """Who wants to be a user; the time zone and the currency are the instance's unless given."""

    email: Email
    password: NewPassword
    timezone: TimeZone | None = None
    currency: Currency | None = None


class Credentials(Body):
    """Who wants to come in."""

    email: Email
    password: Password


class PasswordChange(Body):
    """Another password for whoever knows the current one."""

    current_password: Password
    new_password: NewPassword


class Preferences(Edit):
    """What a user's figures are shown in; what is left out stays."""

    timezone: TimeZone | None = None
    currency: Currency | None = None


class UserView(View):
    """A user, as they see themselves."""

    id: UUID
    email: str = Field(examples=["trader@example.com"])
    role: Role
    timezone: str = Field(examples=["America/New_York"])
    currency: str = Field(examples=["USD"])
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> "UserView":
        """The view of a user."""
        return cls.model_validate(user, from_attributes=True)


class Registered(View):
    """A user who has been taken in, and may now log in."""

    user: UserView


class LoggedIn(View):
    """A session's token, which is the bearer token; the answer sets it as a cookie, too."""

    access_token: str = Field(examples=["kX3vB0qkq0bq3G5xw1bZ0m5v9w8r7t6y5u4i3o2p1a0"])
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token, as RFC 6750 calls it
    expires_in: int = Field(description="Seconds until the session ends unless it is used.", examples=[604800])
    user: UserView


class SessionView(View):
    """A session of the user's, to be known again and ended."""

    id: UUID
    ip: str | None = Field(examples=["203.0.113.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0"])
    device: str | None = Field(
        description="What the user agent says plainly that it is; null where it does not.",
        examples=["Firefox on Linux"],
    )
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime = Field(description="When it ends unless it is used.")
    current: bool = Field(description="Whether this request came through it.")

    @classmethod
    def of(cls, session: Session, current: str) -> "SessionView":
        """The view of a session; `current` is the id of the one that is being used."""
        return cls(
            id=UUID(session.id),
            ip=session.data.get("ip"),
            user_agent=session.data.get("user_agent"),
            device=device(session.data.get("user_agent")),
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            current=session.id == current,
        )


class ApiKeyRequest(Body):
    """A key to be."""

    name: Line = Field(examples=["Spreadsheet"])
    scope: KeyScope = KeyScope.READ
    expires_at: Timestamp | None = Field(default=None, description="When it stops to open anything; null is never.")


class ApiKeyView(View):
    """A key, without what it opens by."""

    id: UUID
    name: str = Field(examples=["Spreadsheet"])
    scope: KeyScope
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To within five minutes.")

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyView":
        """The view of a key."""
        return cls.model_validate(key, from_attributes=True)


class ApiKeyMade(ApiKeyView):
    """A key that was made just now, with its token."""

    token: str = Field(
        description="To be sent as a bearer token. It is shown this once.",
        examples=["tsk_kX3vB0qkq0bq3G5xw1bZ0m5v9w8r7t6y5u4i3o2p1a0"],
    )
