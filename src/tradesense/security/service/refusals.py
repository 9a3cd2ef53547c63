"""What security refuses, and why."""

from datetime import timedelta

from keel.errors import Conflict, Forbidden, Invalid, NotAuthenticated, NotFound, Unavailable


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


class NoSuchUser(NotFound):
    """There is no user with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such user.")


class ApiKeyUnknown(NotAuthenticated):
    """No API key is this one, or it has been deleted."""

    def __init__(self) -> None:
        super().__init__("The API key is not known; make one, or log in.")


class ApiKeyExpired(NotAuthenticated):
    """The API key has expired."""

    def __init__(self) -> None:
        super().__init__("The API key has expired; make another one.")


class ApiKeyNotFound(NotFound):
    """There is no such API key."""

    def __init__(self) -> None:
        super().__init__("There is no such API key.")


class TooManyApiKeys(Conflict):
    """A user may have 50 API keys."""

    def __init__(self) -> None:
        super().__init__("You have as many API keys as one may have; delete one that you do not use.")


class ExpiryPassed(Invalid):
    """The key would have expired already."""

    def __init__(self) -> None:
        super().__init__("The key would have expired already.", loc=("body", "expires_at"))
