"""Expression Constraint Language: `expand` an expression to the concepts it names.

What is built is everything that the hierarchy alone decides; what is not, refinements, member
sets and filters among it, is refused with its name and never answered with another set.
"""

from terminology.ecl.evaluate import expand, ordinals

__all__ = ["expand", "ordinals"]
