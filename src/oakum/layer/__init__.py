"""One layer: its entries, reading and indexing in one pass, deterministic writing, compression."""

from oakum.layer.entry import Entry, Kind, LayerIndex, content_identity
from oakum.layer.read import IndexingTee, index_blob, known_index, known_kept, read_layer
from oakum.layer.write import Layer, LayerWriter, sort_key

__all__ = [
    "Entry",
    "IndexingTee",
    "Kind",
    "Layer",
    "LayerIndex",
    "LayerWriter",
    "content_identity",
    "index_blob",
    "known_index",
    "known_kept",
    "read_layer",
    "sort_key",
]
