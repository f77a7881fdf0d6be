"""What is taken from Trivy's JSON, current and before 0.19."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from oakum.errors import ReportError
from oakum.fixes.reports import Finding, Report, Severity, read_report

Sample = Callable[[str], bytes]


def _by_package(report: Report) -> dict[str, Finding]:
    return {finding.package: finding for finding in report.findings}


def _one(**fields: Any) -> Report:
    """A report with one vulnerability of libssl3, these fields changed."""
    flaw = {
        "VulnerabilityID": "CVE-2024-0727",
        "PkgName": "libssl3",
        "InstalledVersion": "3.0.11-1",
        **fields,
    }
    results = [{"Target": "x (debian 12)", "Type": "debian", "Vulnerabilities": [flaw]}]
    return read_report(json.dumps({"SchemaVersion": 2, "Results": results}).encode(), "t.json")


def test_the_image_is_described(sample: Sample) -> None:
    report = read_report(sample("trivy-2.json"), "trivy.json")
    assert (report.scanner, report.schema, report.scanner_version) == ("trivy", "2", "0.69.0")
    assert report.image == "registry.example:5000/team/web:1.4"
    assert report.image_digests == (
        "sha256:" + 64 * "2",
        "sha256:c2c03a296d2329a4f3ab72a7bf38b78a8a80108204d326b0139d6af700e15200",
    )
    assert report.distribution == ("debian", "12.5")
    assert report.created == "2026-11-02T09:30:00.123456789Z"
    assert report.unusable == ()


def test_a_finding_is_complete(sample: Sample) -> None:
    found = _by_package(read_report(sample("trivy-2.json"), "trivy.json"))["libssl3"]
    assert found == Finding(
        package="libssl3",
        ecosystem="deb",
        installed="3.0.11-1~deb12u2",
        fixed="3.0.13-1~deb12u1",
        advisory="CVE-2024-0727",
        aliases=("DSA-5764-1",),
        severity=Severity.MEDIUM,
        architecture="amd64",
        source="openssl",
        source_version="3.0.11-1~deb12u2",
        layer="sha256:" + 64 * "1",
        title="openssl: denial of service via null dereference",
        url="https://avd.aquasec.com/nvd/cve-2024-0727",
        scanner="trivy",
        status="fixed",
    )


def test_the_fixed_version_is_the_source_packages_and_keeps_its_own_epoch(sample: Sample) -> None:
    found = _by_package(read_report(sample("trivy-2.json"), "trivy.json"))["bsdutils"]
    assert (found.installed, found.fixed) == ("1:2.38.1-5+b1", "2.38.1-5+deb12u1")
    assert (found.source, found.source_version) == ("util-linux", "2.38.1-5")


def test_what_has_no_fix_says_why(sample: Sample) -> None:
    found = _by_package(read_report(sample("trivy-2.json"), "trivy.json"))
    assert (found["apt"].fixed, found["apt"].status) == (None, "affected")
    assert (found["zlib1g"].fixed, found["zlib1g"].status) == (None, "will_not_fix")
    assert found["zlib1g"].architecture == "arm64"


def test_of_several_fixed_versions_the_lowest_above_the_installed_is_taken(sample: Sample) -> None:
    found = _by_package(read_report(sample("trivy-2.json"), "trivy.json"))["debug"]
    assert (found.ecosystem, found.fixed) == ("npm", "3.1.0")


@pytest.mark.parametrize(
    ("installed", "fixed", "chosen"),
    [
        ("1:2.3-1", "2.4-1, 1:2.3-2, 1:2.4-1", "1:2.3-2"),
        ("1.0~rc1-1", "1.0-1,1.0~beta-1", "1.0-1"),
        ("1.9-1", "1.10-1, 1.11-1", "1.10-1"),
        ("9-1", "7-1, 8-1", "7-1"),
        ("1.0-1", "", None),
    ],
)
def test_debian_versions_are_compared_as_dpkg_does(
    installed: str, fixed: str, chosen: str | None
) -> None:
    (found,) = _one(InstalledVersion=installed, FixedVersion=fixed).findings
    assert found.fixed == chosen


def test_an_epoch_that_only_the_purl_has_is_added() -> None:
    purl = {"PURL": "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&epoch=2"}
    (found,) = _one(PkgIdentifier=purl).findings
    assert found.installed == "2:3.0.11-1"


def test_the_plain_list_of_old_versions(sample: Sample) -> None:
    report = read_report(sample("trivy-1.json"), "trivy.json")
    assert (report.schema, report.image) == ("1", "registry.example:5000/team/web:1.4")
    assert report.distribution == ("debian", "10.3")
    bash, ssl = report.findings
    assert (bash.status, bash.layer) == ("affected", "sha256:" + 64 * "1")
    assert (ssl.ecosystem, ssl.fixed, ssl.status) == ("deb", "1.1.1d-0+deb10u3", "fixed")


def test_not_affected_is_no_finding() -> None:
    assert _one(Status="not_affected").findings == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("PkgName", "--allow-unauthenticated"),
        ("PkgName", "libssl3;reboot"),
        ("PkgName", "../../etc"),
        ("PkgName", "LibSSL3"),
        ("PkgName", "libssl3\n"),
        ("PkgName", ""),
        ("InstalledVersion", "1.0 && reboot"),
        ("InstalledVersion", "1.0-"),
        ("InstalledVersion", "٣.0"),
        ("FixedVersion", "$(reboot)"),
        ("FixedVersion", "-1.0"),
        ("VulnerabilityID", "CVE-2024-1\x1b[2J"),
    ],
)
def test_a_hostile_name_or_version_is_set_aside_and_safe_to_print(field: str, value: str) -> None:
    report = _one(**{field: value})
    assert report.findings == ()
    (unusable,) = report.unusable
    assert unusable.path == "$.Results[0].Vulnerabilities[0]"
    assert unusable.why.isprintable()


def test_text_that_is_only_shown_is_cleaned() -> None:
    (found,) = _one(Title="a\x1b]0;b\u202ec", PrimaryURL="javascript:alert(1)").findings
    assert found.title == "a\ufffd]0;b\ufffdc"
    assert found.url is None


def test_a_newer_schema_is_refused() -> None:
    with pytest.raises(ReportError, match=r"SchemaVersion: .* this is 3"):
        read_report(b'{"SchemaVersion": 3, "Results": []}', "t.json")
