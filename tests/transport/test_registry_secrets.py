"""Credentials go to the registry that they belong to, and into no message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oakum.errors import OakumError, TransportError
from oakum.oci import Manifest, parse_reference
from oakum.progress import Event
from oakum.store import Store
from oakum.transport import RegistryOptions, pull
from oakum.transport.registry import RegistrySource
from oakum.transport.registry.credentials import find_login
from support.faulty import Answer, FaultyRegistry
from support.images import copy, fetch, publish
from support.logins import SECRET, auth, configure


def test_credentials_go_to_their_own_registry_only(
    locked: FaultyRegistry, faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store,
    nobodys_logins: Path,
) -> None:  # fmt: skip
    configure(nobodys_logins, auths={locked.host: auth(), "127.0.0.1": auth("root", "toor")})
    publish(faulty, "app", store, image)
    name = publish(locked, "app", store, image)
    for digest in (image.layers[0].digest, image.config.digest):
        place = f"{faulty.url}/v2/app/blobs/{digest}"
        locked.answer(f"GET .*{digest}", Answer(307, {"Location": place}))
    fetch(fresh, name)
    assert faulty.requests
    assert not any("authorization" in r.headers for r in faulty.requests)
    copy(store, f"docker://{name}", f"docker://{faulty.host}/copied:1")
    assert not any("authorization" in r.headers for r in faulty.requests)


def test_an_upload_that_is_sent_elsewhere_carries_no_credentials(
    locked: FaultyRegistry, faulty: FaultyRegistry, store: Store, image: Manifest,
    nobodys_logins: Path,
) -> None:  # fmt: skip
    configure(nobodys_logins, auths={locked.host: auth()})
    faulty.uploads["there"] = bytearray()
    place = f"{faulty.url}/v2/app/blobs/uploads/there"

    def elsewhere(request: object, right: Answer) -> Answer:
        return right.having(Location=place) if right.status == 202 else right

    locked.change("POST ", elsewhere)
    with pytest.raises(OakumError):
        copy(
            store,
            f"store:{image.digest}",
            f"docker://{locked.host}/app:1",
            RegistryOptions(retries=0),
        )
    assert not any("authorization" in r.headers for r in faulty.requests)


def test_a_challenge_of_another_host_is_not_answered(
    locked: FaultyRegistry, faulty: FaultyRegistry, store: Store, image: Manifest, fresh: Store,
    nobodys_logins: Path,
) -> None:  # fmt: skip
    configure(nobodys_logins, auths={locked.host: auth(), faulty.host: auth("bob", "other-secret")})
    faulty.login = "basic"
    name = publish(locked, "app", store, image)
    place = f"{faulty.url}/v2/app/blobs/x"
    locked.answer(f"GET .*{image.layers[0].digest}", Answer(307, {"Location": place}))
    with pytest.raises(OakumError):
        fetch(fresh, name, RegistryOptions(retries=1))
    assert not any("authorization" in r.headers for r in faulty.requests)


def test_no_secret_is_ever_told(
    locked: FaultyRegistry, store: Store, image: Manifest, fresh: Store, nobodys_logins: Path
) -> None:
    configure(nobodys_logins, auths={locked.host: auth()})
    name = publish(locked, "app", store, image)
    told: list[Event] = []
    locked.cut("GET .*blobs", 5, times=2)
    locked.answer("GET .*manifests", Answer(503), times=1)
    source = RegistrySource(parse_reference(name), RegistryOptions(), told.append)
    pull(fresh, source, progress=told.append)
    locked.answer("GET .*manifests", Answer(raw=b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n"))
    with pytest.raises(TransportError) as caught:
        source.document(image.descriptor())
    source.close()
    texts = [event.text for event in told] + [str(caught.value), repr(caught.value)]
    login = find_login(locked.host, "app", None)
    texts += [repr(login), str(login)]
    secrets = [SECRET, auth()["auth"], "token-1"]
    assert len(told) > 4 and not [t for t in texts if any(s in t for s in secrets)]


def test_the_command_tells_no_secret_even_with_debug(
    locked: FaultyRegistry, image: Manifest, nobodys_logins: Path, tmp_path: Path
) -> None:
    configure(nobodys_logins, auths={locked.host: auth()})
    locked.answer("manifests", Answer(raw=b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n"))
    command = [sys.executable, "-m", "oakum", "--debug", "--store", str(tmp_path / "s"), "pull"]
    script = "from oakum.transport.registry.client import Client; Client.pause = 0.001\n"
    (tmp_path / "sitecustomize.py").write_text(script)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*command, f"{locked.host}/app:1"], capture_output=True, text=True, env=env
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "error: " in said
    assert SECRET not in said and auth()["auth"] not in said and "token-1" not in said
