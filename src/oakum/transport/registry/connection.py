"""The pooled HTTP client of one registry: trust, proxies, no cookies."""

from __future__ import annotations

import functools
import os
import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from oakum.errors import UsageError
from oakum.transport.options import RegistryOptions
from oakum.transport.registry.address import checked_host, is_loopback
from oakum.version import version

_READ_BYTES = 256 * 1024
_CONNECT_SECONDS = 20.0


def connect(address: str, options: RegistryOptions) -> httpx.Client:
    """A client whose main peer is `address`; its proxies are those of the environment.

    A loopback host is never asked through a proxy.  Only hosts that were declared insecure may
    have a certificate that nobody vouches for.
    """
    # httpcore reads 64 KiB at a time: four threads then spend more time on handing each other
    # the interpreter's lock than on the bytes (1 GB over loopback: 3.5 s of CPU against 1.9 s).
    httpcore.HTTP11Connection.READ_NUM_BYTES = _READ_BYTES
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=options.jobs + 2)
    mounts: dict[str, httpx.BaseTransport | None] = dict.fromkeys(
        (
            "all://localhost",
            "all://*.localhost",
            "all://127.0.0.1",
            "all://[::1]",
            *([f"all://{address}"] if is_loopback(address) else []),
        )
    )
    for host in options.insecure:
        mounts[f"https://{checked_host(host)}"] = httpx.HTTPTransport(
            verify=False, proxy=_proxy_of(host), limits=limits
        )
    return httpx.Client(
        verify=_trust(
            options.ca_certificates,
            os.environ.get("SSL_CERT_FILE"),
            os.environ.get("SSL_CERT_DIR"),
        ),
        timeout=httpx.Timeout(options.timeout, connect=min(options.timeout, _CONNECT_SECONDS)),
        limits=limits,
        headers={"User-Agent": f"oakum/{version()}", "Accept-Encoding": "identity"},
        # Some registries take a client with a cookie for a browser and ask it for more.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        mounts=mounts,
    )


def _proxy_of(host: str) -> str | None:
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


@functools.cache
def _trust(further: Path | None, file: str | None, directory: str | None) -> ssl.SSLContext:
    """The machine's authorities, and those of a file; reading them takes 25 ms.

    `file` and `directory` are ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, which OpenSSL reads itself.
    """
    context = ssl.create_default_context()
    if further is not None:
        try:
            context.load_verify_locations(cafile=str(further))
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"cannot use the certificates {further}: {error}",
                "name a file of PEM certificates",
            ) from error
    return context
