"""OpenPGP: which keys an image trusts for a source, and whether a Release file is signed by one.

Sequoia's standard policy decides about algorithms and lifetimes.  The archive keyrings of Debian
11, 12 and 13 and of Ubuntu 22.04 pass it whole, as do the Release files that they sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from oakum.errors import RepositoryError
from oakum.repository.configuration import parts
from oakum.repository.interface import ImageFiles

if TYPE_CHECKING:
    from pysequoia import Cert

_ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----", re.S
)
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}!?")
_LARGEST = 16 * 1024 * 1024
_CLEARSIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"


class Trust:
    """The keys that may sign one source."""

    def __init__(self, certs: Sequence[Cert], only: Iterable[str], origin: str) -> None:
        self.certs = tuple(certs)
        """Certificates whose signatures are looked at."""
        self.only = frozenset(fingerprint.lower().rstrip("!") for fingerprint in only)
        """Fingerprints that a signature must be from; empty when any certificate will do."""
        self.origin = origin
        """For people: where the keys come from."""


def parse_keys(raw: bytes, name: str) -> list[Cert]:
    """The certificates in a keyring, armored or not; `RepositoryError` when it is none."""
    from pysequoia import Cert

    if raw[8:12] == b"KBXf":
        raise RepositoryError(
            f"{name} is a GnuPG keybox, which apt does not read either",
            "export the keys with gpg --export and name that file",
        )
    blocks = _ARMOR.findall(raw) or [raw]
    try:
        return [cert for block in blocks for cert in Cert.split_bytes(block)]
    except Exception as error:
        raise RepositoryError(
            f"{name} is not an OpenPGP keyring: {_line(error)}",
            "name a keyring made with gpg --export",
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


class Keys:
    """All keys of an image, and those that the user named; each file is read once."""

    def __init__(self, files: ImageFiles, keyrings: Sequence[Path]) -> None:
        self._files = files
        self._read: dict[str, list[Cert]] = {}
        self.notes: list[str] = []
        """Key files that apt would warn about."""
        self._named: list[Cert] = []
        for path in keyrings:
            self._named += parse_keys(_host_file(path), str(path))
        self._whole: list[Cert] | None = None

    def trust(self, signed_by: str, entry: str) -> Trust:
        """The keys for a source with this ``Signed-By`` value (empty: the image's trusted keys)."""
        if "-----BEGIN PGP PUBLIC KEY BLOCK-----" in signed_by:
            lines = [line.strip() for line in signed_by.splitlines()]
            text = "\n".join("" if line == "." else line for line in lines) + "\n"
            certs = parse_keys(text.encode("utf-8", "replace"), f"the key in {entry}")
            return Trust([*certs, *self._named], (), f"the key in {entry}")
        words = signed_by.replace(",", " ").split()
        paths = [word for word in words if word.startswith("/")]
        only = [word for word in words if not word.startswith("/")]
        for word in only:
            if not _FINGERPRINT.fullmatch(word):
                raise RepositoryError(
                    f"{entry} of the image has a Signed-By that is neither a path nor a "
                    f"fingerprint: {word[:80]!r}",
                    "name a keyring's path, or all 40 digits of a fingerprint",
                )
        named = {cert.fingerprint.lower() for cert in self._named} if only else set()
        if not paths:
            return Trust([*self._image_keys(), *self._named], [*only, *named], _IMAGE_KEYS)
        certs = [cert for path in paths for cert in self._signed_by_file(path, entry)]
        return Trust([*certs, *self._named], [*only, *named], ", ".join(paths))

    def _signed_by_file(self, path: str, entry: str) -> list[Cert]:
        if path not in self._read:
            raw = self._files.read(path.lstrip("/"))
            if raw is None and not self._named:
                raise RepositoryError(
                    f"{entry} of the image is Signed-By {path}, which the image does not have",
                    "put the keyring into the image, or name one with --keyring",
                )
            self._read[path] = (
                [] if raw is None else parse_keys(raw[:_LARGEST], f"the image's {path}")
            )
        return self._read[path]

    def _image_keys(self) -> list[Cert]:
        if self._whole is None:
            self._whole = []
            directory = parts(self._files, "etc/apt/trusted.gpg.d", ("gpg", "asc"))
            for path in ["etc/apt/trusted.gpg", *directory]:
                raw = self._files.read(path)
                if not raw:
                    continue
                try:
                    self._whole += parse_keys(raw[:_LARGEST], f"the image's /{path}")
                except RepositoryError as error:
                    self.notes.append(f"{error.what}; it was left out, as apt does")
        return self._whole


_IMAGE_KEYS = "/etc/apt/trusted.gpg.d"


def _host_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RepositoryError(
            f"the keyring {path} cannot be read: {error.strerror}", "name a keyring that exists"
        ) from error


def verify_clearsigned(raw: bytes, trust: Trust, what: str) -> bytes:
    """The signed text of an InRelease file; nothing outside the signature counts.

    `RepositoryError` names which of these it is: no signature, a signature by a key that is not
    trusted here, by a key that is expired or revoked, or one that does not fit the text.
    """
    import pysequoia

    if not raw.startswith(_CLEARSIGNED):
        raise _unsigned(what)
    block = raw[raw.rfind(b"-----BEGIN PGP SIGNATURE-----") :]
    try:
        result = pysequoia.verify(bytes=raw, store=lambda ids: list(trust.certs))
    except Exception as error:
        raise _explained(block, trust, what, error) from error
    if result.bytes is None or not _accepted(result.valid_sigs, trust):
        raise _explained(block, trust, what, None)
    return bytes(result.bytes)


def verify_detached(raw: bytes, signature: bytes, trust: Trust, what: str) -> bytes:
    """`raw`, when one of the signatures in `signature` (Release.gpg) is by a trusted key."""
    import pysequoia
    from pysequoia.packet import PacketPile, Tag

    cause: Exception | None = None
    try:
        packets = [p for p in PacketPile.from_bytes(signature) if p.tag == Tag.Signature]
    except Exception as error:
        raise _explained(signature, trust, what, error) from error
    for packet in packets[:64]:
        try:
            sig = pysequoia.Sig.from_bytes(bytes(packet))
            result = pysequoia.verify(bytes=raw, store=lambda ids: list(trust.certs), signature=sig)
        except Exception as error:
            cause = error
            continue
        if _accepted(result.valid_sigs, trust):
            return raw
    raise _explained(signature, trust, what, cause)


class _Signature(Protocol):
    """What Sequoia says of a signature that fits."""

    certificate: str
    signing_key: str


def _accepted(signatures: Sequence[_Signature], trust: Trust) -> bool:
    return any(_is_accepted(signature, trust) for signature in signatures)


def _is_accepted(signature: _Signature, trust: Trust) -> bool:
    """Sequoia asks whether a key was good when it signed; apt, and this, whether it is good now."""
    names = {signature.certificate.lower(), signature.signing_key.lower()}
    if trust.only and not names & trust.only:
        return False
    certs = [c for c in trust.certs if c.fingerprint.lower() == signature.certificate.lower()]
    return any(
        not cert.is_revoked and not _expired(cert, signature.signing_key.lower()) for cert in certs
    )


def _expired(cert: Cert, signing_key: str) -> datetime | None:
    """When the certificate or its signing key expired; None while both are good."""
    now = datetime.now(UTC)
    ends = [end for end in (cert.expiration, _subkey_end(cert, signing_key)) if end is not None]
    return min((end for end in ends if end <= now), default=None)


def _subkey_end(cert: Cert, signing_key: str) -> datetime | None:
    """When a subkey's newest binding ends; None for one without an end, and for the primary key."""
    if signing_key == cert.fingerprint.lower():
        return None
    return _binding_end(bytes(cert), signing_key)


@lru_cache(maxsize=256)
def _binding_end(cert: bytes, subkey: str) -> datetime | None:
    from pysequoia.packet import PacketPile, SignatureType

    created, inside, newest, end = None, False, None, None
    for packet in PacketPile.from_bytes(cert):
        if packet.fingerprint:
            inside = packet.fingerprint.lower() == subkey
            created = packet.key_created
        elif inside and packet.signature_type == SignatureType.SubkeyBinding:
            bound = packet.signature_created
            if bound is None or created is None or (newest is not None and bound < newest):
                continue
            newest, period = bound, packet.key_validity_period
            end = created + period if period else None
    return end


def _unsigned(what: str) -> RepositoryError:
    return RepositoryError(
        f"{what} is not signed",
        "oakum uses signed repositories only: sign it, and name its key in Signed-By or with "
        "--keyring",
    )


def _explained(block: bytes, trust: Trust, what: str, cause: Exception | None) -> RepositoryError:
    signers = _signers(block)
    if not signers:
        return RepositoryError(
            f"{what} has a damaged signature" + (f": {_line(cause)}" if cause else ""),
            "the mirror is damaged, or something on the way changed the file; try another mirror",
        )
    names = ", ".join(sorted(s.upper() for s in signers))
    known = [c for c in trust.certs if signers & _key_names(c)]
    if trust.only and cause is None:
        return RepositoryError(
            f"{what} is signed by {names}, not by a key that the source's Signed-By names",
            "if the key was changed on purpose, name the new one in Signed-By or with --keyring",
        )
    if not known:
        return RepositoryError(
            f"{what} is signed by {names}, and no such key is in {trust.origin}",
            "name the repository's keyring with --keyring if you trust it",
        )
    ends = [end for c in known for s in signers if (end := _expired(c, s)) is not None]
    if any(c.is_revoked for c in known):
        return RepositoryError(
            f"{what} is signed by a revoked key ({names})",
            "install the archive's new keyring in the image, or name it with --keyring",
        )
    if ends:
        day = max(ends).date()
        return RepositoryError(
            f"{what} is signed by a key that expired on {day} ({names})",
            "install the archive's new keyring in the image, or name it with --keyring",
        )
    return RepositoryError(
        f"{what} has a bad signature by {names}" + (f": {_line(cause)}" if cause else ""),
        "the mirror is damaged, or something on the way changed the file; try another mirror",
    )


def _signers(block: bytes) -> set[str]:
    """Lower-case fingerprints and key ids of whom the signatures claim to be by."""
    from pysequoia.packet import PacketPile, Tag

    names: set[str] = set()
    try:
        for packet in PacketPile.from_bytes(block):
            if packet.tag == Tag.Signature:
                names.add((packet.issuer_fingerprint or packet.issuer_key_id or "").lower())
    except Exception:
        return set()
    return names - {""}


def _key_names(cert: Cert) -> set[str]:
    """Fingerprints and key ids of a certificate's keys."""
    from pysequoia.packet import PacketPile

    names: set[str] = {cert.fingerprint.lower(), cert.fingerprint.lower()[-16:]}
    for packet in PacketPile.from_bytes(bytes(cert)):
        if packet.fingerprint:
            names |= {packet.fingerprint.lower(), packet.fingerprint.lower()[-16:]}
    return names
