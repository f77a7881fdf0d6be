"""A failure that may not be one later."""

from __future__ import annotations

from oakum.errors import TransportError

PASSING = {408, 429, 500, 502, 503, 504}
"""Statuses that may be others later."""


class Passing(TransportError):
    """A registry that is busy or out of reach: the request is worth another attempt."""

    def __init__(
        self,
        what: str,
        todo: str,
        reason: str,
        retry_after: str | None = None,
        most: int | None = None,
    ) -> None:
        super().__init__(what, todo)
        self.most = most
        """Most attempts that it is worth; None for as many as the options say."""
        self.reason = reason
        """What happened, in a few words."""
        self.retry_after = retry_after
        """The server's ``Retry-After``: seconds or a date."""
