"""Options of RUN --mount, and durations."""

import pytest

from oakum.dockerfile import Mount, parse_duration, parse_mount
from oakum.errors import DockerfileError


@pytest.mark.parametrize(
    ("value", "mount"),
    [
        ("target=/x", Mount(target="/x")),
        ("type=bind,from=a,src=/s,dst=/d,rw", Mount("bind", "", "/s", "/d", "a", readonly=False)),
        (
            "type=cache,id=i,target=/c,sharing=locked,mode=0755,uid=1,gid=2",
            Mount("cache", "i", "", "/c", "", False, "locked", 0o755, 1, 2),
        ),
        ("type=cache,target=/c,ro", Mount("cache", target="/c", readonly=True)),
        ("type=cache,target=/c,readwrite=false", Mount("cache", target="/c", readonly=True)),
        ("type=tmpfs,target=/t,size=64m", Mount("tmpfs", target="/t", readonly=False, size=2**26)),
        ("type=secret,id=s,env=TOKEN", Mount("secret", "s", env="TOKEN")),
        ("type=secret,id=s,required", Mount("secret", "s", required=True)),
        ("type=ssh", Mount("ssh")),
        ('type=bind,"source=a,b",target=/x', Mount(source="a,b", target="/x")),
    ],
)
def test_options(value: str, mount: Mount) -> None:
    assert parse_mount(value) == mount


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("type=bnd", "did you mean bind"),
        ("tpye=bind", "did you mean type"),
        ("target", "target=…"),
        ("type=bind,size=1m", "'size' for mount type 'bind'"),
        ("type=tmpfs,target=/t,size=x", "invalid size"),
        ("type=bind,required", "'required'"),
        ("type=secret", "id"),
        ("type=secret,id=a,source=b", "not both"),
        ("type=secret,id=a,from=b", "from"),
        ("type=bind,sharing=locked", "cache"),
        ("type=cache,sharing=mine", "sharing"),
        ("type=cache,target=/c,mode=9", "mode"),
        ("type=bind,target=/c,uid=9", "uid"),
        ("ro=perhaps", "true or false"),
        ('"a', "cannot read"),
    ],
)
def test_mistakes(value: str, why: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_mount(value)
    assert why in f"{caught.value.what} {caught.value.todo}"


def test_values_are_expanded() -> None:
    assert parse_mount("id=$A,target=/x", lambda word: word.replace("$A", "b")).id == "b"


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("30s", 30 * 10**9),
        ("1m30s", 90 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("-5ms", -5 * 10**6),
        ("+1us", 1000),
        ("1µs", 1000),
        (".5s", 5 * 10**8),
        ("1ns", 1),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "3", "s", "3 s", "3d", "1.s.", "-", "1e3s", "9999999999h"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(DockerfileError):
        parse_duration(text)
