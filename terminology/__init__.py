"""What a body site is: SNOMED CT body structures, crosswalks to them, words and headers.

Where to look first:

- `library`: `load_terminology()`, everything below loaded together
- `graph`, `index`, `ecl`, `search`: the body structures, and what is asked of them
- `crosswalk`, `mapping`, `sssom`: codes of other systems, and the tables they come from
- `words`, `phrases`, `text`: a header string → sites, side, view
- `elements`, `statements`, `header`: a DICOM dataset → the same, by attribute, then joined
- `instance`, `patient`: who an image is, and what bears on its body site
- `annotation`, `concept`, `errors`, `identifiers`: the values that all of them share
- `tables`, `files`, `contract`: how tables are read, files written, answers put as JSON
- `checks`, `evaluation`, `cli`, `console`: the commands
"""
