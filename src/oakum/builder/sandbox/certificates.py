"""Extra CA certificates and proxies of this machine, offered to steps without a trace.

Programs that can be told where certificates are find the image's and the extra ones together in a
file on the runtime's own /dev.  For the others, the image's trust store is shown with the extra
ones added, from a directory that lies on top of the image's layers in the step's overlay: so a
step may still replace its store (a mount on it would make ``update-ca-certificates`` fail).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from oakum.builder.sandbox.mount_points import resolve_in_root
from oakum.builder.sandbox.step import OFFERED
from oakum.errors import UsageError

STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)
"""Trust stores of Debian and Alpine, of Fedora, of OpenSSL and BSD, of SUSE."""
VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
)
FILE = "ca-certificates.pem"
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
MAX_STORE = 16 * 1024 * 1024
"""Bytes of a trust store; a larger file is left alone."""


class OfferedCertificates(msgspec.Struct, frozen=True):
    """What a step gets so that it trusts the extra certificates."""

    env: tuple[str, ...]
    """For `Step.env`, never for the image's configuration."""
    files: dict[str, bytes]
    """For `Step.files`."""
    stores: tuple[str, ...]
    """Paths of the image's trust stores that the layer shows with the extra certificates."""
    extra: bytes
    """The extra certificates as they were added."""


def offer_ca(bundle: Path, root: Path, layer: Path) -> OfferedCertificates:
    """Make the image in `root` trust the certificates of the PEM file `bundle` in a step.

    Fills the directory `layer`, which belongs on top of the image's layers (and below the step's
    upper directory); call `withdraw_ca` on the upper directory afterwards.
    """
    extra = _read_bundle(bundle)
    found = _stores(root)
    for path, content in found.items():
        _write_store(root, layer, path, content + extra)
    system = next(iter(found.values()), None)
    known = _machine_store() if system is None else system
    env = tuple(f"{name}={OFFERED}/{FILE}" for name in VARIABLES)
    return OfferedCertificates(env, {FILE: known + extra}, tuple(found), extra)


def withdraw_ca(offered: OfferedCertificates, upper: Path) -> None:
    """Take the extra certificates out of trust stores that a step changed instead of replacing."""
    for store in offered.stores:
        here = upper / resolve_in_root(upper, store).lstrip("/")
        if here.is_symlink() or not here.is_file() or here.stat().st_size > 2 * MAX_STORE:
            continue
        content = here.read_bytes()
        if offered.extra in content:
            info = here.stat()
            here.write_bytes(content.replace(offered.extra, b""))
            os.utime(here, ns=(info.st_atime_ns, info.st_mtime_ns))


def _read_bundle(bundle: Path) -> bytes:
    try:
        content = bundle.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read the CA certificates {bundle}: {error.strerror}", "name a PEM file"
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise UsageError(f"{bundle} holds no certificate", "name a PEM file of CA certificates")
    return b"\n" + content.strip() + b"\n"


def _stores(root: Path) -> dict[str, bytes]:
    """The image's trust stores, at the paths that their names lead to."""
    found: dict[str, bytes] = {}
    for store in STORES:
        path = resolve_in_root(root, store)
        here = root / path.lstrip("/")
        if here.is_file() and here.stat().st_size <= MAX_STORE:
            found[path] = here.read_bytes()
    return found


def _write_store(root: Path, layer: Path, path: str, content: bytes) -> None:
    names = path.strip("/").split("/")
    for count in range(1, len(names)):
        (layer.joinpath(*names[:count])).mkdir(exist_ok=True)
    here = layer.joinpath(*names)
    here.write_bytes(content)
    for count in range(len(names), 0, -1):
        _dress(root.joinpath(*names[:count]), layer.joinpath(*names[:count]))


def _dress(source: Path, target: Path) -> None:
    info = source.lstat()
    os.chown(target, info.st_uid, info.st_gid)
    shutil.copystat(source, target)


def _machine_store() -> bytes:
    for store in STORES:
        try:
            return Path(store).read_bytes()
        except OSError:
            continue
    return b""


def proxy_environment(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The proxy variables of `environ`, in lower and upper case, for `Step.env`.

    A variable that is set in one case only is offered in both.
    """
    offered = []
    for name in PROXIES:
        lower, upper = environ.get(name), environ.get(name.upper())
        if lower or upper:
            offered += [f"{name}={lower or upper}", f"{name.upper()}={upper or lower}"]
    return tuple(offered)
