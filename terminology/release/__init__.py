"""SNOMED CT releases compiled to indexes: hierarchy, attributes, terms, reference sets, search.

`ReleaseIndex.open` maps the file that `build_index` wrote from `terminology.rf2` rows;
`embedded_index` compiles the subset that comes with Bodysite to the same class.
"""

from terminology.release.index import ReleaseIndex

__all__ = ["ReleaseIndex"]
