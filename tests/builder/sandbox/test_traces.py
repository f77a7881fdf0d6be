"""What a step gets to see of this machine leaves no trace in the image."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

from builder.sandbox.conftest import Box
from support.command import finished
from support.search import files_with
from support.traces import processes_with

PROXY = "http://proxy.trace.invalid:3128"
SECRET = "the-secret-of-this-test-2f9c"
BODY = base64.encodebytes(b"a certificate of this test alone" * 8).decode()
AUTHORITY = f"-----BEGIN CERTIFICATE-----\n{BODY}-----END CERTIFICATE-----\n"
LINE = BODY.splitlines()[0]
STORE = "/etc/ssl/certs/ca-certificates.crt"


def test_a_secret_is_in_no_byte_of_the_store(fresh: Box) -> None:
    place = fresh.context().write(
        "RUN --mount=type=secret,id=one,required=true test -s /run/secrets/one",
        'RUN --mount=type=secret,id=one,env=ONE test -n "$ONE" && echo $ONE | wc -c > /length',
        "RUN --mount=type=secret,id=two,target=/deep/er/two grep -q secret /deep/er/two",
        "RUN test ! -e /run/secrets && test ! -e /deep",
    )
    (place / "secret").write_text(SECRET)
    (place / ".dockerignore").write_text("secret\n")
    given = ("--secret", f"id=one,src={place / 'secret'}", "--secret", "id=two,env=TWO")
    fresh.output(place, *given, "-t", "app:1", TWO=SECRET)
    assert files_with(fresh.oakum.store, b"length") != []
    assert files_with(fresh.oakum.store, SECRET.encode()) == []


def test_a_secret_is_on_no_command_line(fresh: Box) -> None:
    mark = f"7{os.getpid()}"
    place = fresh.context().write(
        f'RUN --mount=type=secret,id=one,env=ONE test -n "$ONE" && sleep {mark}'
    )
    words = ("build", place, "--sandbox", fresh.sandbox, "--secret", "id=one,env=ONE", "-q")
    process = fresh.oakum.start(*words, ONE=SECRET)
    while not processes_with(mark):
        assert process.poll() is None
        time.sleep(0.01)
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    for pid in processes_with(f"OAKUM_STORE={fresh.oakum.store}"):
        os.kill(pid, 15)
    finished(process)
    assert not any(SECRET.encode() in line for line in lines)


def test_proxies_reach_a_step_and_not_the_image(fresh: Box) -> None:
    place = fresh.context().write(
        "RUN test $http_proxy = $HTTP_PROXY",
        'RUN test -n "$http_proxy" && test -n "$NO_PROXY" && env | grep -c proxy > /count',
    )
    fresh.output(place, "-t", "app:1", http_proxy=PROXY, NO_PROXY="none.trace.invalid")
    assert files_with(fresh.oakum.store, b"trace.invalid") == []


def test_extra_authorities_are_trusted_in_a_step_and_not_in_the_image(fresh: Box) -> None:
    place = fresh.context().write(
        f"COPY own {STORE}",
        f"RUN grep -q BEGIN {STORE} && grep -q own {STORE} && grep -q BEGIN $SSL_CERT_FILE",
        f"RUN echo another >> {STORE}",
        "RUN touch /etc/ssl/certs/hash.0",
        own="own\n",
    )
    bundle = fresh.place / "authority.pem"
    bundle.write_text(AUTHORITY)
    fresh.output(place, "-t", "app:1", "--ca-certificates", bundle)
    assert fresh.oakum.done("cat", "app:1", STORE).out == "own\nanother\n"
    wanted = LINE.encode()
    snapshots = [path for path in files_with(fresh.oakum.store, wanted) if "/records/" not in path]
    assert snapshots == []
    shown = fresh.oakum.done("inspect", "app:1").out
    assert "SSL_CERT_FILE=" not in shown


def test_a_secret_is_in_nothing_that_is_said_or_kept_when_steps_fail(prison: Box) -> None:
    """Not in the error, the hint, the log, the result, the record of the cache, or the history."""
    place = prison.context().write(
        "RUN --mount=type=secret,id=one,env=ONE --mount=type=secret,id=two,required "
        'test "$ONE" = "$(cat /run/secrets/two)" && echo fine > /fine',
        "RUN --mount=type=secret,id=one,env=ONE --mount=type=secret,id=two "
        '$ONE 2>/dev/null || [ -z "$ONE" ]',
    )
    secret = f"secret-of-{prison.place.name}"
    result = prison.place / "result.json"
    words = ("--secret", "id=one,env=ONE", "--secret", "id=two,env=ONE", "-t", "app:1")
    ended = prison.build(place, *words, "--result-file", result, ONE=secret)
    assert ended.code == 1
    assert secret not in ended.err + ended.out
    missing = prison.build(place, "--secret", "id=one,env=ONE", "--no-cache", ONE=secret)
    assert "secret two: not found" in missing.err
    assert secret not in missing.err
    program = prison.context().write('RUN --mount=type=secret,id=one,env=PATH ["missing"]')
    unfound = prison.build(program, "--secret", "id=one,env=ONE", ONE=f"/{secret}")
    assert unfound.code == 1
    assert secret not in unfound.err
    good = prison.context().write(
        'RUN --mount=type=secret,id=one,env=ONE echo "$ONE" | wc -c > /length'
    )
    built = prison.oakum.done(
        *("build", good, "--sandbox", prison.sandbox, "--format", "json", "-t", "app:1"),
        *("--progress", "plain", "--secret", "id=one,env=ONE", "--output"),
        f"type=oci,dest={prison.oakum.home / 'app.tar'},tar=false",
        ONE=secret,
    )
    assert secret not in built.out + built.err
    assert secret not in prison.oakum.done("inspect", "app:1").out
    assert files_with(prison.oakum.store, secret.encode()) == []
    assert files_with(prison.oakum.home / "app.tar", secret.encode()) == []
    assert files_with(prison.oakum.home / "app.tar", b"length") != []
