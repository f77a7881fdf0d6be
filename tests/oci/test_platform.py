"""Platforms: how they are written, and which one of an index a machine takes."""

from __future__ import annotations

import subprocess

import pytest

from oakum.errors import UsageError
from oakum.oci import Platform, choose, host_platform, parse_platform


@pytest.mark.parametrize(
    ("text", "platform", "written"),
    [
        ("linux/amd64", Platform("amd64"), "linux/amd64"),
        ("amd64", Platform("amd64"), "linux/amd64"),
        ("linux/x86_64", Platform("amd64"), "linux/amd64"),
        ("LINUX/AMD64", Platform("amd64"), "linux/amd64"),
        ("linux/i386", Platform("386"), "linux/386"),
        ("linux/arm64", Platform("arm64", variant="v8"), "linux/arm64"),
        ("aarch64", Platform("arm64", variant="v8"), "linux/arm64"),
        ("linux/arm64/v8", Platform("arm64", variant="v8"), "linux/arm64"),
        ("linux/arm", Platform("arm", variant="v7"), "linux/arm/v7"),
        ("linux/arm/v6", Platform("arm", variant="v6"), "linux/arm/v6"),
        ("windows/amd64", Platform("amd64", "windows"), "windows/amd64"),
    ],
)
def test_a_platform_is_read_and_written(text: str, platform: Platform, written: str) -> None:
    assert parse_platform(text) == platform
    assert str(platform) == written
    assert parse_platform(written) == platform


@pytest.mark.parametrize("text", ["", "/", "linux/", "/amd64", "a/b/c/d", "linux//v7"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_platform(text)


AMD, ARM5, ARM6, ARM7 = (
    parse_platform(f"linux/{t}") for t in ("amd64", "arm/v5", "arm/v6", "arm/v7")
)


@pytest.mark.parametrize(
    ("wanted", "offered", "index"),
    [
        (AMD, [ARM7, AMD], 1),
        (AMD, [ARM7, None], None),
        (AMD, [], None),
        (AMD, [Platform("amd64", "windows"), Platform("amd64")], 1),
        (AMD, [Platform("unknown", "unknown"), Platform("amd64")], 1),
        (parse_platform("arm64"), [ARM7, Platform("arm64")], 1),
        (parse_platform("arm64"), [ARM7], None),
        (ARM7, [ARM5, ARM6, ARM7], 2),
        (ARM7, [ARM5, ARM6], 1),
        (ARM7, [ARM6, ARM5], 0),
        (ARM6, [ARM7], None),
        (ARM6, [ARM7, ARM5], 1),
        (ARM7, [Platform("arm")], 0),
        (Platform("amd64", variant="v3"), [Platform("amd64")], 0),
        (AMD, [Platform("amd64", variant="v3")], None),
    ],
)
def test_the_best_offer_is_chosen(
    wanted: Platform, offered: list[Platform | None], index: int | None
) -> None:
    assert choose(wanted, offered) == index


def test_this_machine_is_called_as_dpkg_calls_it() -> None:
    done = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True)
    assert host_platform().debian_architecture() == done.stdout.strip()
    assert parse_platform("linux/arm/v7").debian_architecture() == "armhf"
    assert parse_platform("ppc64le").debian_architecture() == "ppc64el"
