"""FHIR search: parameters, modifiers, chains, includes, sorting and paging, for R4 and R5.

::

    parsing      escapes, tokens, numbers, words
    criteria     a parameter, its modifier and value → a condition; chains and _has
    sites        body sites: hierarchy, former codes, expressions, names, value sets
    value_sets   what the terminology service says of `:in`
    plan         all parameters of a request → a query, and how the answer is to look
    includes     _include and _revinclude
    searcher     the request → the Bundle
    definitions  what can be searched, as SearchParameter and CapabilityStatement say it

What can be searched is in `api.indexing`.
"""

from api.indexing import PARAMETERS, Parameter
from api.search.definitions import (
    includes_of,
    revincludes_of,
    search_parameters,
    search_params_of,
)
from api.search.searcher import Searcher, SearchRequest

__all__ = [
    "PARAMETERS",
    "Parameter",
    "SearchRequest",
    "Searcher",
    "includes_of",
    "revincludes_of",
    "search_parameters",
    "search_params_of",
]
