"""Join what the header says with what a model saw: five answers, a relation, and one answer."""

from classifier.fusion.fuse import NO_MODEL, fuse
from classifier.fusion.relation import relation
from classifier.fusion.reliability import Agreement, HeaderReliability
from classifier.fusion.review import Review
from classifier.fusion.router import ADULT_FROM_YEARS, router_group
from classifier.fusion.settings import FusionSettings, Policy

__all__ = [
    "ADULT_FROM_YEARS",
    "NO_MODEL",
    "Agreement",
    "FusionSettings",
    "HeaderReliability",
    "Policy",
    "Review",
    "fuse",
    "relation",
    "router_group",
]
