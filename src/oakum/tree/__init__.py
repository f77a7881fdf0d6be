"""The merged view of a stack of layers, and the difference between two such views."""

from oakum.tree.diff import Difference, PathChange, diff_trees
from oakum.tree.files import ImageTree, read_from_blob
from oakum.tree.tree import Node, Tree

__all__ = ["Difference", "ImageTree", "Node", "PathChange", "Tree", "diff_trees", "read_from_blob"]
