"""Users and groups of an image, for ``--chown``."""

from __future__ import annotations

from oakum.errors import BuildError


def _ids(raw: bytes | None, name: str) -> int | None:
    for line in (raw or b"").decode("utf-8", "replace").split("\n"):
        fields = line.split(":")
        if len(fields) >= 3 and fields[0] == name and fields[2].isdigit():
            return int(fields[2])
    return None


def parse_owner(text: str, passwd: bytes | None, group: bytes | None) -> tuple[int, int]:
    """(uid, gid) of ``--chown=user[:group]``: names from the image, or numbers.

    A user without a group gets the group of the same number, as BuildKit's COPY does.
    """
    user, colon, group_name = text.partition(":")
    uid = int(user) if user.isdigit() else _ids(passwd, user)
    if uid is None:
        raise BuildError(
            f"--chown: the image has no user {user[:80]!r} in /etc/passwd",
            "create the user in an earlier step, or write its number",
        )
    if not colon:
        return uid, _primary(passwd, uid) if not user.isdigit() else uid
    gid = int(group_name) if group_name.isdigit() else _ids(group, group_name)
    if gid is None:
        raise BuildError(
            f"--chown: the image has no group {group_name[:80]!r} in /etc/group",
            "create the group in an earlier step, or write its number",
        )
    return uid, gid


def _primary(passwd: bytes | None, uid: int) -> int:
    for line in (passwd or b"").decode("utf-8", "replace").split("\n"):
        fields = line.split(":")
        if len(fields) >= 4 and fields[2] == str(uid) and fields[3].isdigit():
            return int(fields[3])
    return uid
