"""Users and groups of an image, for ``--chown``."""

from __future__ import annotations

from oakum.errors import BuildError


def _ids(raw: bytes | None, name: str) -> int | None:
    for line in (raw or b"").decode("utf-8", "replace").split("\n"):
        fields = line.split(":")
        if len(fields) >= 3 and fields[0] == name and fields[2].isdigit():
            return int(fields[2])
    return None


def parse_owner(
    text: str, passwd: bytes | None, group: bytes | None
) -> tuple[tuple[int, int], str]:
    """(uid, gid) of ``--chown=user[:group]``, and what is wrong with it, if anything.

    Names are those of the image.  A user without a group gets its primary group, a number the
    group of the same number.  As with BuildKit, a name that the image does not know is root (a
    group: the user's own), and an image without accounts knows no names at all.
    """
    user, colon, group_name = text.partition(":")
    if not user.isdigit() and passwd is None:
        raise BuildError(
            f"--chown: invalid user {user[:80]!r}: there is no /etc/passwd",
            "write numbers, or create the accounts in an earlier step",
        )
    unknown = ""
    uid = int(user) if user.isdigit() else _ids(passwd, user)
    if uid is None:
        uid, unknown = 0, f"the image has no user {user[:80]!r}, so it is root"
    gid = _primary(passwd, uid) if not user.isdigit() else uid
    if not colon:
        return (uid, gid), unknown
    named = int(group_name) if group_name.isdigit() else _ids(group, group_name)
    if named is None:
        return (uid, gid), unknown or f"the image has no group {group_name[:80]!r}"
    return (uid, named), unknown


def _primary(passwd: bytes | None, uid: int) -> int:
    for line in (passwd or b"").decode("utf-8", "replace").split("\n"):
        fields = line.split(":")
        if len(fields) >= 4 and fields[2] == str(uid) and fields[3].isdigit():
            return int(fields[3])
    return uid
