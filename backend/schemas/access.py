"""A browser's session: whether this studio asks for sign-in, and until when it was given."""

from __future__ import annotations

from pydantic import Field

from backend.schemas.base import Timestamp, WireModel


class SessionCreate(WireModel):
    """What is typed on the sign-in page."""

    token: str = Field(min_length=1, max_length=512, description="The access token of this studio")


class BrowserSession(WireModel):
    """How this browser stands with the studio."""

    is_required: bool = Field(
        description="Whether an access token is set, so that everything but the rater's door asks"
    )
    is_signed_in: bool = Field(description="Whether the request brought a session that is valid")
    expires_at: Timestamp | None = Field(None, description="When that session ends")
