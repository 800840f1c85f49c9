import pytest

from terminology.annotation import HeaderReading, HeaderStatement, Site

CHEST, ABDOMEN, PELVIS, HIP, THIGH = (
    "816094009", "818981001", "816092008", "29836001", "68367000",
)  # fmt: skip
KNEE, LOWER_LEG, ANKLE, FOOT, HAND = "72696002", "30021000", "344001", "56459004", "85562004"
NECK, SPINE, CERVICAL, THORACIC, LUMBAR = (
    "45048000", "421060004", "122494005", "122495006", "122496007",
)  # fmt: skip
SKULL, UPPER_LIMB, LOWER_LIMB, CALCANEUS = "89546000", "53120007", "61685007", "80144004"
CLASSES = (CHEST, ABDOMEN, PELVIS, HIP, THIGH, KNEE, LOWER_LEG, ANKLE, FOOT, HAND, CERVICAL,
           THORACIC, LUMBAR)  # fmt: skip


@pytest.fixture
def site(graph):
    def made(code, laterality=None, confidence=None):
        display = graph.lookup(code).display if code in graph else code
        return Site(code, display, laterality, confidence)

    return made


@pytest.fixture
def header(site):
    """A header that names sites, one tag for each; the first is the one that it follows."""

    def made(*codes, confidence=None, **others):
        sites = [site(code, confidence=confidence) for code in codes]
        statements = tuple(
            HeaderStatement("BodyPartExamined", "(0018,0015)", one.display, (one,)) for one in sites
        )
        return HeaderReading(sites=tuple(sites[:1]), statements=statements, **others)

    return made


@pytest.fixture
def seen(site):
    """What a model saw: `best` so sure, the other classes equally improbable."""

    def made(best, sure=0.97, classes=CLASSES, others=None, answer=None, **more):
        from classifier.prediction import Prediction

        rest = {code: 1.0 for code in classes if code != best}
        if others:
            rest = dict.fromkeys(rest, 0.0) | others
        left = sum(rest.values())
        posterior = {code: (1 - sure) * share / left for code, share in rest.items()}
        posterior[best] = sure
        named = sorted(posterior, key=posterior.get, reverse=True)
        candidates = tuple(site(code, confidence=posterior[code]) for code in named)
        if answer is not None:
            candidates = (site(answer, confidence=sure), *candidates)
        return Prediction(
            "net 1",
            examined=candidates,
            posterior=posterior,
            prior=dict.fromkeys(posterior, 1 / len(posterior)),
            **more,
        )

    return made
