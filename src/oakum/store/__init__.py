"""The local content store: blobs by digest, names, records; shared by processes, kill-safe."""

from oakum.store.blobs import Blobs, BlobWriter
from oakum.store.check import Checked, Damage, Holding, Usage, check_store, disk_bytes, usage
from oakum.store.names import Named, Names
from oakum.store.place import default_root, discard, guarded, write_atomically
from oakum.store.records import Records
from oakum.store.store import Store
from oakum.store.unfinished import Unfinished

__all__ = [
    "BlobWriter",
    "Blobs",
    "Checked",
    "Damage",
    "Holding",
    "Named",
    "Names",
    "Records",
    "Store",
    "Unfinished",
    "Usage",
    "check_store",
    "default_root",
    "discard",
    "disk_bytes",
    "guarded",
    "usage",
    "write_atomically",
]
