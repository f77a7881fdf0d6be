"""Who a USER instruction means, by the image's own /etc/passwd and /etc/group."""

from __future__ import annotations

from collections.abc import Iterator

from oakum.builder.sandbox.step import User
from oakum.errors import BuildError

MAX_ID = 2**31 - 1
"""The largest ID that Docker takes."""


def resolve_user(spec: str | None, passwd: bytes | None, group: bytes | None) -> User:
    """The user of ``USER spec``: ``name``, ``uid``, ``name:group`` or ``uid:gid``.

    As Docker does it: a user that is not in `passwd` may be a number and then has group 0; the
    supplementary groups are those that list the user's name, and none when a group is named.
    BuildError for a name that the image lacks.
    """
    if not spec:
        return _named("0", "", passwd, group)
    user, _, group_name = spec.partition(":")
    return _named(user or "0", group_name, passwd, group)


def _named(user: str, group_name: str, passwd: bytes | None, group: bytes | None) -> User:
    account = next((row for row in _rows(passwd, 4) if user in (row[0], row[2])), None)
    if account is None and not _is_id(user):
        raise BuildError(
            f"the image has no user {user[:80]!r} in /etc/passwd",
            "create the user in an earlier step, or write its number",
        )
    uid = int(account[2]) if account else int(user)
    home = account[5] if account and len(account) > 5 and account[5] else "/"
    if group_name:
        return User(uid, _gid(group_name, group), (), home)
    name = account[0] if account else user
    groups = tuple(int(row[2]) for row in _rows(group, 3) if name in _members(row))
    return User(uid, int(account[3]) if account else 0, groups, home)


def _gid(name: str, group: bytes | None) -> int:
    for row in _rows(group, 3):
        if name in (row[0], row[2]):
            return int(row[2])
    if _is_id(name):
        return int(name)
    raise BuildError(
        f"the image has no group {name[:80]!r} in /etc/group",
        "create the group in an earlier step, or write its number",
    )


def _members(row: list[str]) -> list[str]:
    return row[3].split(",") if len(row) > 3 else []


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID


def _rows(raw: bytes | None, fields: int) -> Iterator[list[str]]:
    """The well-formed lines of a passwd(5) or group(5) file, split."""
    for line in (raw or b"").decode("utf-8", "replace").split("\n"):
        row = line.strip().split(":")
        numbers = row[2:4] if fields == 4 else row[2:3]
        if len(row) >= fields and all(_is_id(number) for number in numbers):
            yield row
