"""/api/v1/session: a browser signs in with the access token, asks how it stands, signs out. Open to everybody."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from backend.access.gate import LIFETIME, Gate
from backend.access.layer import address_of, session_of
from backend.dependencies import SettingsDep
from backend.errors import ConflictError
from backend.schemas.access import BrowserSession, SessionCreate
from backend.settings import Settings

router = APIRouter(prefix="/session", tags=["access"])


@router.post("", status_code=201)
async def sign_in(wanted: SessionCreate, request: Request, response: Response, settings: SettingsDep) -> BrowserSession:
    """Gives the browser a session for seven days, as a cookie that no script can read.

    Raises:
        UnauthenticatedError: for a wrong token; TooManyTriesError after too many from one address.
        ConflictError: where this studio asks for none.
    """
    gate = _gate_of(request)
    if gate is None:
        raise ConflictError("this studio asks for no sign-in: it was started without UNMASK_ACCESS_TOKEN")
    if not gate.is_token(wanted.token):
        raise await gate.wrong_try(address_of(request.scope))
    value, ends = gate.new_session()
    response.set_cookie(
        gate.cookie_name,
        value,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        # Not strict: a link to a run that came by mail or chat opens. Nothing changes by GET, and what changes
        # something must name its origin.
        samesite="lax",
        secure=_is_encrypted(request, settings),
    )
    return BrowserSession(is_required=True, is_signed_in=True, expires_at=ends)


@router.get("")
def get_session(request: Request, response: Response) -> BrowserSession:
    """How this browser stands with the studio; never refused."""
    gate = _gate_of(request)
    ends = None if gate is None else session_of(gate, request.headers)
    response.headers["Cache-Control"] = "no-store"
    return BrowserSession(is_required=gate is not None, is_signed_in=ends is not None, expires_at=ends)


@router.delete("", status_code=204)
def sign_out(request: Request, response: Response, settings: SettingsDep) -> None:
    """Takes the session's cookie away from the browser."""
    gate = _gate_of(request)
    if gate is not None:
        secure = _is_encrypted(request, settings)
        response.delete_cookie(gate.cookie_name, httponly=True, samesite="lax", secure=secure)


def _gate_of(request: Request) -> Gate | None:
    gate: Gate | None = request.app.state.gate
    return gate


def _is_encrypted(request: Request, settings: Settings) -> bool:
    """Whether people reach the studio by https, here or at the proxy before it."""
    return request.url.scheme == "https" or (settings.public_url or "").lower().startswith("https:")
