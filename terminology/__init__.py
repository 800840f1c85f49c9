"""What a body site is: SNOMED CT body structures, crosswalks to them, words and headers.

Where to look first:

- `library`: `load_terminology()`, everything below loaded together
- `graph`, `structures`, `weaving`: the body structures, embedded or of a release
- `rf2`, `release`: a SNOMED CT release read, compiled to an index, asked
- `ecl`, `expressions`: expression constraints; post-coordinated expressions
- `crosswalk`, `mapping`, `sssom`: codes of other systems, and the tables they come from
- `words`, `phrases`, `text`: a header string → sites, side, view
- `elements`, `statements`, `header`: a DICOM dataset → the same, by attribute, then joined
- `instance`, `patient`: who an image is, and what bears on its body site
- `annotation`, `concept`, `errors`, `identifiers`: the values that all of them share
- `tables`, `files`, `contract`: how tables are read, files written, answers put as JSON
- `queries`, `mcp_server`: what the commands, and language models, ask about concepts
- `checks`, `evaluation`, `cli`, `concept_cli`, `build_cli`, `console`: the commands
"""
