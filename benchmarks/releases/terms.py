"""Invented terms that look medical: words made of syllables, used as often as words are (Zipf).

A concept's words come from its first parent's, so that relatives share words as in SNOMED CT.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def _words(text: str) -> list[str]:
    return text.split()


_HEADS = _words(
    "ab ac acro ad aden alb ambi an angi ankyl ante arth atel auto bar bas blast brachi bron calc "
    "cardi caud cephal cerv chol chrom col cost crani cyst derm digit dors dys ec encephal endo "
    "enter epi eryth fasci fibr gastr gloss glyc gran gyn hem hepat hist hydr hyper hypo ili immun "
    "inter intra kerat lact lamin lat leuk lip lith lumb lymph macr mal mamm mast medi melan men "
    "mes micr mon morph muc my myel nas necr nephr neur nod ocul olig onc oophor orb oste ot ovar "
    "pan par path pelv peri phag pharyng phleb plast pleur pneum pod poly post pre proct pulm pyel "
    "rad ren retr rhin sacr salping sarc scler sept sin som spermat sphen splen spondyl stern stom "
    "sub supra syn tars tend thorac thromb thyr tibi tox trache trans tri ulc ur uter vag vas ven "
    "ventr vert vesic xanth zyg"
)
_MIDDLES = _words(
    "a al an ar at ec el en er ic id il in is it o od ol om on or os ot ul um ur ocy oge olo omy "
    "ono ope oto idi ali ati eni eri"
)
_TAILS = _words(
    "al algia ar ary ase asis cele cyte dine ectomy emia form gen gram graphy ia ic id ine ism "
    "itis ium lysis logy malacia megaly mycin nazole oid ol olol oma ose osis ostomy otomy ous "
    "pathy penia pexy phil plasty plegia pril rrhea sartan scopy sis statin stenosis tion toxin "
    "trophy um uria us zole"
)
_SHORT = _words(
    "of left right acute chronic upper lower the and with due to entire structure part region "
    "bone joint skin nerve muscle artery vein hand foot arm leg head neck chest abdomen severe "
    "mild open closed first second third type product tablet oral injection tumor benign "
    "malignant primary secondary fracture injury infection disease disorder finding by for in on "
    "no not other"
)
# US and British spelling of the same piece.
_SPELLINGS = (("hem", "haem"), ("emia", "aemia"), ("rrhea", "rrhoea"), ("tumor", "tumour"))
_VOCABULARY = 60_000
# How much rarer each next word is.
_ZIPF = 0.9
_SMALL = frozenset(_words("of the and with due to by for in on no not"))


class Vocabulary:
    """Words by rank, most frequent first; `british` has the other spelling where there is one."""

    def __init__(self, chance: np.random.Generator) -> None:
        pieces = [chance.integers(0, 1_000_000, _VOCABULARY).tolist() for _ in range(4)]
        words = dict.fromkeys(_SHORT)
        for head, middle, more, tail in zip(*pieces, strict=True):
            word = _HEADS[head % len(_HEADS)]
            if more % 5:
                word += _MIDDLES[middle % len(_MIDDLES)]
            if more % 7 == 0:
                word += _HEADS[more % len(_HEADS)] + _MIDDLES[head % len(_MIDDLES)]
            words[word + _TAILS[tail % len(_TAILS)]] = None
        self.words = list(words)
        self.british = [_british(word) for word in self.words]
        weight = np.arange(1, len(self.words) + 1, dtype=np.float64) + 4
        self._limits = np.cumsum(weight**-_ZIPF)

    def draw(self, chance: np.random.Generator, count: int) -> list[int]:
        """Return `count` ranks, drawn as often as words occur."""
        picks = np.searchsorted(self._limits, chance.random(count) * self._limits[-1])
        drawn: list[int] = picks.tolist()
        return drawn


def _british(word: str) -> str:
    for here, there in _SPELLINGS:
        word = word.replace(here, there)
    return word


def concept_words(
    chance: np.random.Generator,
    vocabulary: Vocabulary,
    first_parent: Sequence[int],
    given: Sequence[str],
) -> list[tuple[int, ...]]:
    """Return the ranks of each concept's words; `given` are the names of the first concepts.

    A concept has the last words of its parent's and one to three of its own in front.
    """
    count = len(first_parent)
    fresh = iter(vocabulary.draw(chance, 3 * count))
    own = chance.choice(4, count, p=[0.05, 0.55, 0.3, 0.1]).tolist()
    kept = chance.choice(5, count, p=[0.1, 0.2, 0.3, 0.25, 0.15]).tolist()
    words: list[tuple[int, ...]] = [()] * count
    for place in range(len(given), count):
        new = tuple(next(fresh) for _ in range(max(1, own[place])))
        inherited = words[first_parent[place]][-kept[place] :] if kept[place] else ()
        words[place] = new + tuple(rank for rank in inherited if rank not in new)
    return words


def phrase(words: Sequence[str]) -> str:
    """Return a term of `words`: a capital first; no small word at either end."""
    chosen = list(words)
    while len(chosen) > 1 and chosen[-1] in _SMALL:
        chosen.pop()
    while len(chosen) > 1 and chosen[0] in _SMALL:
        chosen.pop(0)
    text = " ".join(chosen)
    return text[:1].upper() + text[1:]


def variant(words: Sequence[str], number: int) -> str:
    """Return the `number`th other way to say `words`; the ways differ among themselves."""
    first, last = words[:-1], words[-1]
    if number % 4 == 0 and first:
        return phrase([last, "of", *first])
    if number % 4 == 1:
        return phrase(["structure", "of", *words])
    if number % 4 == 2 and first:
        return f"{phrase([last])}, {' '.join(first)}"
    return f"{phrase(words)} {'' if number < 4 else 'type '}{number}"
