"""Telling reports apart, refusing what is none, and merging several."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oakum.errors import ReportError
from oakum.fixes.reports import Finding, Report, Severity, document, merge, read_report

Sample = Callable[[str], bytes]
SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.json"))


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b'{"bomFormat": "CycloneDX", "vulnerabilities": []}', "CycloneDX"),
        (b'{"spdxVersion": "SPDX-2.3"}', "SPDX"),
        (b'{"version": "2.1.0", "runs": []}', "SARIF"),
        (b'{"ClusterName": "prod", "Resources": []}', "trivy k8s"),
        (b'{"artifacts": [], "schema": {"version": "16.0.0"}}', "syft"),
        (b'{"_type": "https://in-toto.io/Statement/v1", "predicateType": "x"}', "attestation"),
        (b'{"version": 0, "manifests": {}}', "GitHub"),
        (b'{"version": "15.0.7", "vulnerabilities": []}', "does not read"),
        (b'{"a": 1}', "not a report"),
        (b"[]", "not one of Trivy's"),
        (b'[{"a": 1}]', "not one of Trivy's"),
        (b"null", "not a JSON report"),
        (b"NAME  INSTALLED  FIXED-IN\n", "not a JSON report"),
        (b" \n", "is empty"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b'{"matches": [', "not JSON"),
        (b'{"matches": [{"artifact": {"name": "\xff"}}]}', "not UTF-8"),
        (b'{"matches": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
        (b'{"x": ' + b'{"x":' * 100_000 + b"1" + b"}" * 100_001, "nested too deep"),
        (b'{"SchemaVersion": ' + b"9" * 5000 + b"}", "SchemaVersion"),
        (b'{"matches": [{}]}', r"\$\.matches\[0\]: .*missing required field"),
        (b'{"matches": [{"vulnerability": {"id": 7}}]}', r"\$\.matches\[0\]\.vulnerability\.id"),
        (b'{"matches": 1}', r"\$\.matches: expected"),
        (b'{"matches": [], "source": {"type": "image", "target": 1}}', r"\$\.source\.target"),
        (b'{"SchemaVersion": 2, "Results": [{"Type": []}]}', r"\$\.Results\[0\]\.Type"),
        (b'[{"Target": "x", "Vulnerabilities": "y"}]', r"\$\[0\]\.Vulnerabilities"),
    ],
)
def test_anything_else_is_refused_in_one_sentence_with_a_hint(raw: bytes, what: str) -> None:
    with pytest.raises(ReportError, match=what) as caught:
        read_report(raw, "re\x1bport.json")
    assert caught.value.what.startswith("re\ufffdport.json")
    assert caught.value.what.isprintable()
    assert caught.value.todo


def test_size_is_bounded_before_anything_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 100)
    monkeypatch.setattr(document, "MAX_NODES", 10)
    with pytest.raises(ReportError, match="101 bytes"):
        read_report(b'{"matches": []' + b" " * 86 + b"}", "g.json")
    with pytest.raises(ReportError, match="more than the 10 JSON"):
        read_report(b'{"matches": [' + b"{}," * 10 + b"{}]}", "g.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_and_powershells_utf_16_are_understood(sample: Sample, encoding: str) -> None:
    raw = sample("grype.json")
    assert read_report(raw.decode().encode(encoding), "g") == read_report(raw, "g")


def test_severities_are_ordered_and_read_in_any_case() -> None:
    assert Severity.parse("High") is Severity.HIGH > Severity.parse("low")
    assert Severity.parse("whatever") is Severity.UNKNOWN < Severity.NEGLIGIBLE
    assert [str(Severity.parse(str(one))) for one in Severity] == [str(one) for one in Severity]


def test_what_two_scanners_say_of_one_thing_is_one_finding(sample: Sample) -> None:
    reports = [read_report(sample(name), name) for name in ("trivy-2.json", "grype.json")]
    merged = {finding.package: finding for finding in merge(reports)}
    assert len(merged) == 5 + 4 - 2 == len(merge(reports))
    ssl = merged["libssl3"]
    assert (ssl.scanner, ssl.severity) == ("grype, trivy", Severity.HIGH)
    assert (ssl.source, ssl.source_version) == ("openssl", "3.0.11-1~deb12u2")
    debug = merged["debug"]
    assert (debug.advisory, debug.aliases) == ("CVE-2017-20165", ("GHSA-9vvw-cc9w-f27h",))
    assert debug.scanner == "grype, trivy"


def _report(*findings: Finding) -> Report:
    return Report(name="r", scanner="trivy", schema="2", findings=findings)


def _finding(**fields: Any) -> Finding:
    base = {
        "package": "libc6",
        "ecosystem": "deb",
        "installed": "2.36-9",
        "advisory": "CVE-2024-2961",
        "scanner": "trivy",
    }
    return Finding(**{**base, **fields})


def test_the_higher_fixed_version_satisfies_both() -> None:
    one = _finding(fixed="2.36-9+deb12u9", status="fixed")
    two = _finding(fixed="2.36-9+deb12u10", status="fixed", scanner="grype")
    three = _finding(status="affected", scanner="grype")
    (merged,) = merge([_report(one), _report(two, three)])
    assert (merged.fixed, merged.status) == ("2.36-9+deb12u10", "fixed")


def test_architectures_stay_apart_and_take_in_what_names_none() -> None:
    amd64, i386 = _finding(architecture="amd64"), _finding(architecture="i386")
    anywhere = _finding(scanner="grype", severity=Severity.HIGH)
    merged = merge([_report(amd64, i386), _report(anywhere)])
    assert [one.architecture for one in merged] == ["amd64", "i386"]
    assert {one.scanner for one in merged} == {"grype, trivy"}
    assert {one.severity for one in merged} == {Severity.HIGH}


def test_pypi_names_are_compared_as_pep_503_says() -> None:
    one = _finding(package="ruamel.yaml", ecosystem="pypi")
    two = _finding(package="Ruamel_YAML", ecosystem="pypi", scanner="grype")
    assert len(merge([_report(one), _report(two)])) == 1


_FINDINGS = st.builds(
    _finding,
    package=st.sampled_from(["libc6", "bash"]),
    fixed=st.sampled_from([None, "2.36-9+deb12u9", "2.36-9+deb12u10", "1:2"]),
    advisory=st.sampled_from(["CVE-2024-1111", "DSA-1-1"]),
    aliases=st.sampled_from([(), ("CVE-2024-1111",)]),
    architecture=st.sampled_from([None, "amd64", "i386"]),
    severity=st.sampled_from(Severity),
    scanner=st.sampled_from(["grype", "trivy"]),
    status=st.sampled_from(["affected", "unknown", "will_not_fix"]),
)


@given(st.lists(_FINDINGS, max_size=4))
@settings(max_examples=100, deadline=None)
def test_merging_does_not_depend_on_order_and_loses_nothing(findings: list[Finding]) -> None:
    merged = merge([_report(*findings)])
    for order in itertools.permutations(findings):
        assert merge([_report(one) for one in order]) == merged
    for finding in findings:
        assert any(
            one.package == finding.package
            and finding.advisory in (one.advisory, *one.aliases)
            and finding.scanner in one.scanner
            and one.severity >= finding.severity
            and (finding.architecture in (None, one.architecture))
            for one in merged
        )


_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["", "-x", "a@b", "1:2:3", ">= 1, < 2", "pkg:deb/%zz", "\x1b[0m", "9" * 400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in the document with each of its keys."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], (dict, list)):
            found += _places(value[key])
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_report_is_read_or_refused_and_never_a_traceback(
    path: Path, data: st.DataObject
) -> None:
    document = json.loads(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(document)
        if not places:
            break
        holder, key = places[data.draw(st.integers(0, len(places) - 1))]
        if data.draw(st.booleans()):
            holder[key] = data.draw(_JUNK)
        else:
            del holder[key]
    try:
        report = read_report(json.dumps(document).encode(), "damaged.json")
    except ReportError as error:
        assert error.what.isprintable() and error.todo
        return
    for finding in merge([report]):
        assert all(
            text.isprintable() for text in msgspec.structs.astuple(finding) if isinstance(text, str)
        )


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_are_read_or_refused(path: Path, data: st.DataObject) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(1, len(raw))) :]
    try:
        assert isinstance(read_report(bytes(raw), "damaged.json"), Report)
    except ReportError as error:
        assert error.what.isprintable()
