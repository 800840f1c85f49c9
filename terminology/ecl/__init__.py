"""Expression Constraint Language 2.2: parse an expression constraint, render it, evaluate it.

`parse` and `render` need no release; `evaluate`, `select` and `satisfies` ask a `ReleaseIndex`.
"""

from terminology.ecl.candidate import Candidate
from terminology.ecl.evaluation import evaluate, select
from terminology.ecl.parsing import parse
from terminology.ecl.rendering import render
from terminology.ecl.satisfaction import satisfies

__all__ = ["Candidate", "evaluate", "parse", "render", "satisfies", "select"]
