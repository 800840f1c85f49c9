"""The curator's programs: they make the computed tables of `mappings/` again.

Each reads a folder of reference tables (facts drawn from public sources; mappings/README.md says
which) and the curated tables, and writes computed ones. Nothing here is installed. From the root of
a clone, with the packages of the extra `dev`::

    python -m curation.anatomy --reference DIR [--write]
    python -m curation.umls --reference DIR [--write]

What one program writes the other may read: `curation.anatomy` reads the curated table of CUIs.
"""
