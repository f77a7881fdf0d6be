"""Advisories are listed in an order that people expect."""

from __future__ import annotations

from oakum.verbs.pending import in_order


def test_numbers_count_by_value() -> None:
    found = {"CVE-2026-10000", "CVE-2026-9999", "CVE-2023-44487", "DSA-5001-1"}
    assert in_order(found) == ("CVE-2023-44487", "CVE-2026-9999", "CVE-2026-10000", "DSA-5001-1")
