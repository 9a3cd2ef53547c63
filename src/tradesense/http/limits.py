"""How often the API may be asked: its rules, and who asks as far as they are concerned."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from keel.asgi.addresses import counted_as
from keel.errors import Forbidden, NotAuthenticated, Refusal
from keel.ratelimit.asking import Asker
from keel.ratelimit.limiter import RateLimits
from keel.ratelimit.rules import Per, Rule
from tradesense.http import problems
from tradesense.http.authentication import Principal, UserId, authenticate, known_principal
from tradesense.http.state import provided

LOGIN: Final = "login"
LOGIN_IP: Final = "login-ip"
REGISTER: Final = "register"
_ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "api": ("*",),
    "imports": ("POST {prefix}/imports",),
    "analytics": ("GET {prefix}/analytics/*",),
}
_LIMITED_BY_THEMSELVES: Final = ("POST {prefix}/auth/login", "POST {prefix}/auth/register")
_PROBES: Final = (
    "GET {prefix}/monitoring/health",
    "GET {prefix}/monitoring/health/*",
    "GET {prefix}/monitoring/metrics",
)
"""What orchestrators, balancers and collectors ask from one address, whatever else is out of order."""

TheLimits = Annotated[RateLimits, Depends(provided("limits", RateLimits))]


def rules(prefix: str, limits: Mapping[str, str]) -> list[Rule]:
    """The rules of the API beneath `prefix`, from the limit of each by name.

    Those of logins and registrations have no routes: their endpoints enforce them once they know whose account it is,
    and what is no registration at all is not charged for.
    """
    return [
        Rule(
            name,
            [limit],
            per=Per.IP if name in {LOGIN_IP, REGISTER} else Per.USER,
            routes=[each.format(prefix=prefix) for each in _ROUTES.get(name, ())],
            excluding=[each.format(prefix=prefix) for each in (*_LIMITED_BY_THEMSELVES, *_PROBES)],
            leased=name == "api",
        )
        for name, limit in limits.items()
    ]


async def enforce_login(limits: RateLimits, account: str, address: str | None) -> None:
    """Charge an attempt to log in to an account, by its e-mail address in its normal form; raises LimitExceeded.

    It is counted for the account *and* the address, so that a stranger can lock nobody out. What it is counted under is
    a digest: whoever sees the keys of a Redis reads no e-mail addresses there.
    """
    known_as = blake2b(account.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    await _enforce_password(limits, f"login:{known_as}", address)


async def enforce_password_change(limits: RateLimits, user: UserId, address: str | None) -> None:
    """Charge an attempt to change a user's password, as one to log in; raises LimitExceeded.

    Else whoever has come by a session could try passwords with it.
    """
    await _enforce_password(limits, f"password:{user}", address)


async def _enforce_password(limits: RateLimits, account: str, address: str | None) -> None:
    ip = counted_as(address or "")
    await limits.enforce((f"{account}|{ip}", limits.rules.limits(LOGIN)), (f"ip:{ip}", limits.rules.limits(LOGIN_IP)))


async def enforce_registration(limits: RateLimits, address: str | None) -> None:
    """Charge a registration to its address; raises LimitExceeded."""
    await limits.enforce((f"ip:{counted_as(address or '')}", limits.rules.limits(REGISTER)))


async def asker(scope: Scope) -> Asker | None:
    """Who is charged; None where nobody is known to ask, whom the endpoint will refuse."""
    try:
        principal = await authenticate(HTTPConnection(scope))
    except (NotAuthenticated, Forbidden):
        return None
    return asker_of(principal)


def asker_of(principal: Principal) -> Asker:
    """Who is charged for what somebody asks."""
    return Asker(principal.subject, "admin" if principal.is_admin else "user", principal.timezone)


def is_our_own(scope: Scope) -> bool:
    """Whether this process asks itself, in the name of somebody who then is known before anything is looked at."""
    return known_principal(scope) is not None


def refuse(scope: Scope, refusal: Refusal) -> Response:
    """A refusal as a problem document."""
    return problems.refused(HTTPConnection(scope), refusal)
