"""Which proxy a URL is read through: the image's apt configuration first, then the environment."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from oakum.repository.configuration import Configuration


def proxy_for(url: str, configuration: Configuration, env: Mapping[str, str]) -> str:
    """The proxy's URL; empty for a direct connection (apt-transport-http(1), option Proxy)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    schemes = ("https", "http") if parts.scheme == "https" else ("http",)
    for option in (f"Proxy::{host}", "Proxy"):
        for scheme in schemes:
            value = configuration.text(f"Acquire::{scheme}::{option}").strip()
            if value:
                return "" if value in ("DIRECT", "false") else _with_scheme(value)
    if _direct(host, env.get("no_proxy") or env.get("NO_PROXY") or ""):
        return ""
    named = f"{parts.scheme}_proxy"
    value = env.get(named) or env.get(named.upper() if parts.scheme == "https" else "") or ""
    return _with_scheme(value or env.get("all_proxy") or env.get("ALL_PROXY") or "")


def _with_scheme(proxy: str) -> str:
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _direct(host: str, rules: str) -> bool:
    for rule in rules.replace(",", " ").split():
        if rule == "*":
            return True
        named = rule.strip("[]") if rule.count(":") > 1 else rule.partition(":")[0]
        named = named.lstrip("*").lstrip(".").lower()
        if named and (host == named or host.endswith("." + named)):
            return True
    return False
