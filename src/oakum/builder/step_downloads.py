"""What steps download: from package archives through oakum's own proxy, kept and recorded.

A step's apt is told of the proxy by a configuration file that is mounted and never part of a layer.
Archives that are read by https are read straight, since what is in them cannot be seen; a step that
has no network is offered nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from oakum.builder import sandbox
from oakum.builder.request import BuildRequest
from oakum.repository.archive_files import ArchiveFiles
from oakum.store import Store
from oakum.tree import ImageTree

if TYPE_CHECKING:
    from oakum.repository.archive_proxy import ArchiveProxy

LISTS = "/dev/.oakum-lists"
"""Where a step sees lists to begin with."""
_HOOK = (
    "APT::Update::Pre-Invoke "
    f'{{ "d=/var/lib/apt/lists; mkdir -p $d && cp -p {LISTS}/* $d/ 2>/dev/null || :"; }};\n'
)
_REPLAY = 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n'


class Offer(msgspec.Struct):
    """What one step gets, and afterwards what it used."""

    configuration: str = ""
    """Lines of apt.conf(5); empty when the step is offered nothing."""
    mounts: tuple[sandbox.Mount, ...] = ()
    """Mounts that the configuration speaks of."""
    used: dict[str, str] = {}
    """Files of archives that the step used: URL → SHA-256; complete when the step has ended."""
    refused: list[str] = []
    """What was asked for where no archive may be asked, and is not kept."""


def unrecorded(packages: Mapping[str, str], used: Mapping[str, str]) -> list[str]:
    """The installed `packages` (``name:architecture`` → version) that no used file explains.

    They came from an https source, or from a file that the step had.
    """
    files = {unquote(url.rpartition("/")[2]) for url in used}
    found = []
    for name, version in packages.items():
        package, _, architecture = name.partition(":")
        plain = version.partition(":")[2] or version
        named = {f"{package}_{v}_{a}.deb" for v in (version, plain) for a in (architecture, "all")}
        if version and not named & files:
            found.append(package)
    return found


class StepDownloads:
    """The downloads of one build."""

    def __init__(self, store: Store, request: BuildRequest) -> None:
        self._request = request
        self.files = ArchiveFiles(store.cache("archives"))
        self._indexes = store.cache("apt") / "indexes"
        self._lock = threading.Lock()
        self._proxy: ArchiveProxy | None = None

    @contextlib.contextmanager
    def offered(
        self,
        files: ImageTree,
        architecture: str,
        env: Mapping[str, str],
        scratch: Path,
        recorded: Mapping[str, str] | None,
        *,
        with_lists: bool,
    ) -> Iterator[Offer]:
        """The offer to a step in an image of these files.

        With `recorded` (URL → SHA-256) nothing but those files can be had; then, and when the build
        is offline, no archive is asked.  `with_lists` says whether apt gets lists to begin with,
        which all have to be checked first.
        """
        from oakum.repository.archive_session import Upstream
        from oakum.repository.seeds import Seeds, SignedFiles, seed_lists

        reached = {**{n: v for n, v in os.environ.items() if n.lower().endswith("_proxy")}, **env}
        hosts = dict(self._request.add_hosts)
        hosts = {n: "127.0.0.1" if a == "host-gateway" else a for n, a in hosts.items()}
        upstream = Upstream(reached, hosts, recorded, self._request.offline)
        offer = Offer()
        with self._listening().session(upstream) as (session, url):
            lists = scratch / "lists"
            lists.mkdir()
            seeds = Seeds()
            if with_lists:
                seeds = seed_lists(files, architecture, self.files, session.served, lists)
            session.signed = SignedFiles(seeds, self._indexes)
            own = env.get("APT_CONFIG", "")
            tls = reached.get("https_proxy") or reached.get("HTTPS_PROXY") or "DIRECT"
            lines = f'#include "{own}";\n' if own and '"' not in own else ""
            lines += f'Acquire::http::Proxy "{url}";\n'
            lines += f'Acquire::https::Proxy "{tls}";\n' if '"' not in tls else ""
            if seeds.made_of:
                offer.mounts = (sandbox.Mount("bind", LISTS, lists, True),)
                lines += _HOOK
            offer.configuration = lines + (_REPLAY if upstream.silent else "")
            yield offer
        offer.used = dict(session.used)
        for release, made_of in seeds.made_of.items():
            # What apt did not ask for anew it took as it was offered.
            if release in offer.used:
                offer.used = {**made_of, **offer.used}
        offer.refused = session.refused

    def _listening(self) -> ArchiveProxy:
        from oakum.repository.archive_proxy import ArchiveProxy
        from oakum.repository.web import tls_context

        with self._lock:
            if self._proxy is None:
                bundle = self._request.ca_certificates
                self._proxy = ArchiveProxy(self.files, lambda: tls_context(bundle, os.environ))
            return self._proxy

    def close(self) -> None:
        """Stop listening."""
        if self._proxy is not None:
            self._proxy.close()
