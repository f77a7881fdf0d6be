"""What is taken from Grype's JSON, current and before 0.13."""

from __future__ import annotations

from collections.abc import Callable

from oakum.fixes.reports import Finding, Report, Severity, read_report

Sample = Callable[[str], bytes]


def _by_package(report: Report) -> dict[str, Finding]:
    return {finding.package: finding for finding in report.findings}


def test_the_image_is_described(sample: Sample) -> None:
    report = read_report(sample("grype.json"), "grype.json")
    assert (report.scanner, report.schema, report.scanner_version) == ("grype", "fix", "0.114.0")
    assert report.image == "registry.example:5000/team/web:1.4"
    assert report.image_digests == (
        "sha256:" + 64 * "2",
        "sha256:c2c03a296d2329a4f3ab72a7bf38b78a8a80108204d326b0139d6af700e15200",
    )
    assert report.distribution == ("debian", "12")
    assert report.created == "2026-11-02T10:00:00.5Z"
    assert report.unusable == ()


def test_a_finding_is_complete(sample: Sample) -> None:
    found = _by_package(read_report(sample("grype.json"), "grype.json"))["libssl3"]
    assert found == Finding(
        package="libssl3",
        ecosystem="deb",
        installed="3.0.11-1~deb12u2",
        fixed="3.0.13-1~deb12u1",
        advisory="CVE-2024-0727",
        aliases=("DSA-5764-1",),
        severity=Severity.HIGH,
        architecture="amd64",
        source="openssl",
        source_version=None,
        layer="sha256:" + 64 * "4",
        title="Processing a maliciously formatted PKCS12 file may crash OpenSSL.",
        url="https://security-tracker.debian.org/tracker/CVE-2024-0727",
        scanner="grype",
        status="fixed",
    )


def test_a_source_package_with_a_version_of_its_own(sample: Sample) -> None:
    found = _by_package(read_report(sample("grype.json"), "grype.json"))["libdevmapper1.02.1"]
    assert (found.installed, found.source, found.source_version) == (
        "2:1.02.185-2",
        "lvm2",
        "2.03.16-2",
    )
    assert (found.fixed, found.status, found.severity) == (
        None,
        "will_not_fix",
        Severity.NEGLIGIBLE,
    )


def test_an_rpms_epoch_and_architecture_come_from_its_metadata(sample: Sample) -> None:
    found = _by_package(read_report(sample("grype.json"), "grype.json"))["bind-export-libs"]
    assert (found.installed, found.architecture) == ("32:9.11.4-26.P2", "x86_64")
    assert found.aliases == ("RHSA-2024:0647",)


def test_of_several_fixed_versions_the_lowest_above_the_installed_is_taken(sample: Sample) -> None:
    found = _by_package(read_report(sample("grype.json"), "grype.json"))["debug"]
    assert (found.ecosystem, found.fixed) == ("npm", "3.1.0")
    assert (found.advisory, found.aliases) == ("GHSA-9vvw-cc9w-f27h", ("CVE-2017-20165",))


def test_the_shape_before_0_13(sample: Sample) -> None:
    report = read_report(sample("grype-0.12.json"), "grype.json")
    assert (report.schema, report.image) == ("fixedInVersion", None)
    ssl, bash = report.findings
    assert (ssl.fixed, ssl.status, ssl.architecture) == ("1.1.1d-0+deb10u3", "fixed", "amd64")
    assert (bash.fixed, bash.status) == (None, "unknown")


def test_the_shape_of_0_1_names_its_image_at_the_top() -> None:
    digest = "sha256:" + 64 * "5"
    raw = b'{"matches": [], "image": {"tags": ["web:1"], "digest": "%s"}}' % digest.encode()
    report = read_report(raw, "grype.json")
    assert (report.schema, report.image) == ("fixedInVersion", "web:1")
    assert report.image_digests == (digest,)


def test_a_jar_is_named_with_its_group() -> None:
    raw = b"""{"matches": [{"vulnerability": {"id": "GHSA-jfh8-c2jp-5v3q"}, "artifact": {
      "name": "log4j-core", "version": "2.14.1", "type": "java-archive",
      "purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"}}]}"""
    (found,) = read_report(raw, "grype.json").findings
    assert (found.ecosystem, found.package) == ("maven", "org.apache.logging.log4j:log4j-core")
