"""Studies as documents of a search engine: Elasticsearch and OpenSearch.

::

    names.py      a body site → its names in the languages of the vocabulary
    document.py   a study → one document, and the lines of a bulk request
    mapping.py    the mapping and the analysers of the index
    export.py     all documents of a store, into a folder that can be gone on with
    cli.py        the command `bodysite documents`
"""
