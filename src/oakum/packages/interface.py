"""Installed packages, whatever database names them."""

from __future__ import annotations

import msgspec


class Package(msgspec.Struct, frozen=True):
    """A package that an image's database has."""

    name: str
    """Name in its ecosystem."""
    version: str
    """Version as the database has it."""
    architecture: str
    """Architecture in the database's words."""
    source: str
    """Name of the source package."""
    source_version: str
    """Version of the source package."""
    ecosystem: str = "deb"
    """Kind of package, as in a package URL."""
    installed: bool = True
    """Whether its files are there; False for a removed package whose configuration is left."""
    held: bool = False
    """Whether the administrator holds it at its version."""
    state: str = "ok installed"
    """Error flag and state, as dpkg writes them."""
    layer: int = -1
    """Number of the layer that brought this version; -1 when it is not known."""
    database: str = "var/lib/dpkg/status"
    """File that names it."""
    conffiles: tuple[tuple[str, str], ...] = ()
    """Configuration files with the md5 that was shipped."""
    essential: bool = False
    """Whether the distribution calls it essential."""

    @property
    def key(self) -> tuple[str, str]:
        """Name and architecture: what is unique in a database."""
        return self.name, self.architecture
