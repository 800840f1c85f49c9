"""Vocabularies and label spaces that tests make up."""

from hypothesis import strategies as st

from classifier.data.labels import Head, LabelSpace
from terminology.vocabulary import LabelVocabulary


def vocabulary(*parents):
    """Return a vocabulary whose column i has `parents[i]` directly above it."""
    codes = tuple(f"c{column}" for column in range(len(parents)))
    return LabelVocabulary(codes, codes, tuple(parents), "made")


# 0 is above 1 and 2; 3 is below both of these; 4 is below 3; 5 stands alone.
DIAMOND = vocabulary((), (0,), (0,), (1, 2), (3,), ())

SPACE = LabelSpace(
    DIAMOND,
    {
        Head.EXAMINED: ("c1", "c3", "c4", "c5"),
        Head.VIEW: ("frontal", "lateral"),
        Head.MODALITY: ("DX",),
    },
)


@st.composite
def vocabularies(draw, most=12):
    """Draw graphs without circles in which a concept may have several parents."""
    size = draw(st.integers(1, most))
    parents = []
    for column in range(size):
        above = st.sets(st.integers(0, column - 1), max_size=3) if column else st.just(set())
        parents.append(tuple(sorted(draw(above))))
    return vocabulary(*parents)


@st.composite
def spaces(draw):
    """Draw label spaces whose examined classes are some of the vocabulary's concepts."""
    names = draw(vocabularies())
    examined = draw(st.sets(st.sampled_from(names.codes), min_size=1))
    return LabelSpace(names, {Head.EXAMINED: tuple(sorted(examined))})
