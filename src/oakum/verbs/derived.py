"""Files that no package ships and that installing packages makes or changes: one rule a row."""

from __future__ import annotations

import re

RULES: tuple[tuple[str, str], ...] = (
    (r"var/lib/dpkg(/.*)?", "dpkg's database"),
    (r"var/lib/apt(/.*)?", "apt's lists and states"),
    (r"var/cache/(apt|debconf|ldconfig|man|fontconfig)(/.*)?", "caches of apt, debconf and others"),
    (r"var/log(/.*)?", "logs"),
    (r"etc/ld\.so\.cache", "ldconfig's cache of libraries"),
    (r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-?", "accounts that packages create"),
    (r"etc/ssl/certs(/.*)?", "the bundle and links of ca-certificates"),
    (r"etc/ssl/private(/.*)?", "keys that ssl-cert makes"),
    (r"etc/alternatives(/.*)?", "update-alternatives"),
    (r"etc/(rc[0-6S]\.d|systemd)(/.*)?", "links that enable services"),
    (r"etc/(shells|environment|mailcap|mtab|\.pwd\.lock)", "files that packages keep up"),
    (
        r"etc/(perl|python3[^/]*|xml|sgml|fonts|gtk-[^/]*|pam\.d|ca-certificates\.conf.*)(/.*)?",
        "configuration that packages generate",
    ),
    (
        r"var/lib/(systemd|ucf|python|pam|shells\.state|xml-core|sgml-base|ghostscript|ispell|"
        r"dictionaries-common|misc|vim|emacsen-common)(/.*)?",
        "states that packages keep",
    ),
    (r".*/__pycache__(/.*)?", "compiled Python"),
    (r".*\.py[co]", "compiled Python"),
    (r"usr/share/(mime|applications|icons|info|glib-2\.0|fonts)(/.*)?", "caches of desktop data"),
    (r"usr/lib/(locale|ssl|gconv|x86_64-linux-gnu/gconv)(/.*)?", "locales and converters"),
    (r"run(/.*)?", "what a running system keeps"),
    (r"tmp(/.*)?", "temporary files"),
)
"""(pattern of the whole path, reason); the first that matches counts."""

ALTERNATIVES = b"/etc/alternatives/"
"""Where the links lead that update-alternatives places anywhere."""

_COMPILED = tuple((re.compile(pattern.encode()), reason) for pattern, reason in RULES)


def derived_reason(path: bytes, link: bytes = b"") -> str | None:
    """Why a path that no package ships may change, or None; `link` is a symlink's target."""
    if link.startswith(ALTERNATIVES):
        return "update-alternatives"
    for pattern, reason in _COMPILED:
        if pattern.fullmatch(path):
            return reason
    return None
