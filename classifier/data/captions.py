"""How a picture was made, from what its caption says: DICOM modalities in the words of figures.

Captions of journals say "CT angiogram", "X-ray" or "T2-weighted". A caption that names two
modalities says of neither that it is the picture's, but where one is a kind of the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# The codes are of DICOM PS3.16 CID 29. A radiograph of unknown technique is RG, as in the tables of
# IRMA. OT is what is no radiology: the words in its names are no words of a modality.
#
# The first pattern that matches takes its words away from those after it: what is made with a
# modality of another name (a CT angiogram is a CT) stands before the plain words. Abbreviations
# that are also words stand in capitals only.
_GRAM: Final = r"\w*gra(?:ms?|ph\w*)"
_PATTERNS: Final = tuple(
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), modality)
    for words, modality in (
        (r"optical coherence(?: tomograph\w*)?|(?-i:OCT)|electron microscop\w*", "OT"),
        (r"computed radiogra\w*", "RG"),
        (r"(?-i:PET)[ /-]?(?:ct|mri?)|pet/ct|positron[ -]emission(?: tomograph\w*)?", "PT"),
        (r"(?:18)?f?-?fdg(?:[ -]pet)?|(?-i:PET)|pet(?:[ -]scans?)", "PT"),
        (r"(?-i:SPECT)(?:[ /-]?ct)?|single[ -]photon[ -]emission(?: computed tomograph\w*)?", "NM"),
        (r"\w*scinti(?:graph\w*|scan\w*|grams?)|bone scans?", "NM"),
        (r"cone[ -]beam(?: computed| ct)*(?: tomograph\w*)?|cbct", "CT"),
        (rf"(?:x-?ray )?(?:computed|computeri[sz]ed)(?: axial)? tomogra\w+(?: {_GRAM})?", "CT"),
        (rf"\(?ct\)?[ -]{_GRAM}|angio-?ct|\(?cta\)?", "CT"),
        (r"(?:hr|md|ms|ce|cec|nc|ncc|nec|ld)ct|cts?|cat[ -]scans?|tomodensitomet\w*", "CT"),
        (r"tomographic (?:scans?|images?|sections?|slices?)", "CT"),
        (rf"(?:(?-i:MRI?)|mri|magnetic resonance)[ -](?:imaging )?{_GRAM}", "MR"),
        (r"(?-i:MR|MRIs?|MRA|MRV|CMR|MRE)|mri|mrcp|fmri|(?:nuclear )?magnetic resonance", "MR"),
        (r"t[12]\*?[ -]?(?:w|wi|weight\w*)|t2\*|flair|(?-i:DWI|DTI|STIR|SWI)", "MR"),
        (r"diffusion[ -](?:weighted|tensor)|apparent diffusion\w*|tractograph\w*", "MR"),
        (r"(?:gradient|spin)[ -]echo|(?-i:SSFP)|steady[ -]state free precession|fat[ -]?sat", "MR"),
        (r"mammogra\w*|tomosynthes\w*|galactogra\w*", "MG"),
        (r"\w*ultraso(?:und|nogra\w*|nic)|\w*sono(?:gra\w*)|(?-i:US|TTE|TEE|EUS|IVUS|CEUS)", "US"),
        (r"\w*echocardio\w*|doppler|[bm]-mode|biomicroscop\w*|parasternal", "US"),
        (r"ortho?pant?omo\w+|pantomo\w+|(?-i:OPGs?)", "PX"),
        (r"panoramic (?:x-?rays?|radiogra\w*|views?|images?|films?)", "PX"),
        (r"(?:periapical|intra-?oral|bite-?wing)(?: \w+)? (?:radiogra\w*|x-?rays?|films?)", "IO"),
        (r"(?:angio|arterio|veno|aorto|phlebo|ventriculo|cavo)gra\w*", "XA"),
        (r"digital subtraction|(?-i:DSA)|angiographic\w*", "XA"),
        (r"\w*fluorosco\w*|cine-?radiogra\w*|barium|swallow stud\w*|gastrografin", "RF"),
        (r"(?:chol|cysto|urethro|pyelo|ureter|o?esophago|hystero|fistulo|myelo)\w*gra\w+", "RF"),
        (r"(?:defeco|procto|sialo|dacryo|arthro|disco|uro)gra\w+|ercp", "RF"),
        (r"x[ -]?rays?|\w*radiogra(?:phs?|ms?|phie|phy)|roentgen\w*|skiagra\w*", "RG"),
        (r"(?:plain|chest|abdominal|lateral|frontal|scout) films?|cxr", "RG"),
    )
)
# A word may name the kind and another the more special one: "X-ray", "barium swallow". A picture
# of PET/CT is looked at for the PET.
_KINDS: Final = {
    "RG": frozenset({"XA", "RF", "MG", "PX", "IO"}),
    "RF": frozenset({"XA"}),
    "CT": frozenset({"PT"}),
}


def modalities_of(text: str) -> frozenset[str]:
    """Return the DICOM modalities that `text` names; OT for what is no radiology."""
    rest = text.replace("‐", "-").replace("–", "-")
    found: set[str] = set()
    for pattern, modality in _PATTERNS:
        rest, times = pattern.subn(" ", rest)
        if times:
            found.add(modality)
    return frozenset(found)


def one_modality(named: Iterable[str]) -> str | None:
    """Return the modality that all of `named` are of, the most special; `None` when they differ."""
    every = frozenset(named)
    found = {one for one in every if not every & _KINDS.get(one, frozenset())}
    return found.pop() if len(found) == 1 and "OT" not in found else None
