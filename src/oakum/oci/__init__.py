"""The nouns of the OCI and Docker image specifications, as values; no input or output."""

from oakum.oci.digest import Digest, check, digest_of, hasher_for, is_digest, parse_digest, short
from oakum.oci.image import Config, Descriptor, History, Index, Manifest, chain_ids, encode
from oakum.oci.media import Compression
from oakum.oci.platform import Platform, choose, host_platform, parse_platform
from oakum.oci.reference import Reference, parse_reference

__all__ = [
    "Compression",
    "Config",
    "Descriptor",
    "Digest",
    "History",
    "Index",
    "Manifest",
    "Platform",
    "Reference",
    "chain_ids",
    "check",
    "choose",
    "digest_of",
    "encode",
    "hasher_for",
    "host_platform",
    "is_digest",
    "parse_digest",
    "parse_platform",
    "parse_reference",
    "short",
]
