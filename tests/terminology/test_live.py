"""A program that outlives an edit of a site's tables."""

import asyncio
import logging
import threading

import pytest

from terminology.concept import Coding
from terminology.crosswalk import UNIFESP
from terminology.decisions import Decisions
from terminology.errors import TableError
from terminology.graph import BodyStructureGraph
from terminology.library import Terminology, load_terminology
from terminology.live import INTERVAL, LiveTerminology
from terminology.local import LocalMappings
from terminology.proposals import Proposal, Rules, decision_key
from terminology.tables import mappings_folder

JANE = "person:jane"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def tick(self):
        self.now += INTERVAL


@pytest.fixture(scope="module")
def graph():
    return BodyStructureGraph.load()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def decide(tmp_path):
    library = load_terminology()
    rules = Rules(library.graph, library.text.words.views)

    def decide(value, *codes, **facts):
        rows = rules.check(Proposal(value, codes, **facts), JANE, "2026-11-20").rows
        Decisions(tmp_path).decide([rows], JANE, "add")

    return decide


@pytest.fixture
def live(graph, tmp_path, clock):
    return LiveTerminology(graph, tmp_path, clock=clock)


def codes(terminology, value="QWX"):
    return [site.code for site in terminology.text.read(value).sites]


def test_a_decision_is_served_at_the_next_look(live, decide, clock):
    assert codes(live.current()) == []
    decide("QWX", "72696002")
    assert not live.due
    assert codes(live.current()) == []
    clock.tick()
    assert live.due
    assert codes(live.current()) == ["72696002"]
    assert live.state.decisions == 1
    decide("QWX", "70258002")
    clock.tick()
    assert codes(live.current()) == ["70258002"]


def test_nothing_is_read_again_while_nothing_changes(live, decide, clock):
    decide("QWX", "72696002")
    clock.tick()
    first = live.current()
    for _ in range(3):
        clock.tick()
        assert live.current() is first
    assert first.graph is live.latest.graph


def test_what_was_decided_goes_when_the_decision_goes(live, decide, clock, tmp_path):
    decide("QWX", "72696002")
    clock.tick()
    assert codes(live.current()) == ["72696002"]
    Decisions(tmp_path).remove([decision_key("QWX", None)], JANE)
    clock.tick()
    assert codes(live.current()) == []
    Decisions(tmp_path).path.unlink()
    clock.tick()
    assert live.current().local.decisions is None


def test_bad_rows_change_no_answer_and_are_reported(live, decide, clock, tmp_path, caplog):
    decide("QWX", "72696002")
    clock.tick()
    good = live.current()
    path = Decisions(tmp_path).path
    text = path.read_text("utf-8")
    path.write_text(text.replace("72696002", "72696003"), "utf-8")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.tick()
            assert live.current() is good
    # The whole suite is one process: other parts of it may log at any time.
    said = [one for one in caplog.records if one.name == "terminology.live"]
    assert len([one for one in said if one.levelno >= logging.ERROR]) == 1
    assert "check digit" in live.state.problem[0]
    assert live.state.as_dict()["problem"]
    path.write_text(text, "utf-8")
    clock.tick()
    assert codes(live.current()) == ["72696002"]
    assert live.state.problem == ()


def test_a_folder_that_is_gone_changes_no_answer(graph, decide, clock, tmp_path):
    decide("QWX", "72696002")
    live = LiveTerminology(graph, tmp_path, clock=clock)
    away = tmp_path.with_name("away")
    tmp_path.rename(away)
    clock.tick()
    assert codes(live.current()) == ["72696002"]
    assert "gone" in live.state.problem[0]
    away.rename(tmp_path)
    clock.tick()
    assert codes(live.current()) == ["72696002"]
    assert live.state.problem == ()


def test_listeners_are_told_before_anybody_is_answered(live, decide, clock):
    told = []
    live.on_change(lambda new: told.append((new, live.latest is new)))
    decide("QWX", "72696002")
    clock.tick()
    now = live.current()
    assert told == [(now, False)]


def test_while_one_reads_the_others_go_on(live, decide, clock):
    before = live.latest
    reading, release = threading.Event(), threading.Event()

    def wait(_new):
        reading.set()
        release.wait(30)

    live.on_change(wait)
    decide("QWX", "72696002")
    clock.tick()
    thread = threading.Thread(target=live.current)
    thread.start()
    assert reading.wait(30)
    clock.tick()
    assert live.current() is before
    release.set()
    thread.join(30)
    assert codes(live.current()) == ["72696002"]


def test_a_fault_of_a_listener_changes_no_answer_and_is_reported(live, decide, clock):
    def fail(_new):
        raise KeyError("secret")

    live.on_change(fail)
    before = live.latest
    decide("QWX", "72696002")
    clock.tick()
    assert live.current() is before
    assert live.state.problem == ("a fault of the service (KeyError); its log names the place",)


def test_bad_rows_at_the_start_are_an_error(graph, decide, tmp_path):
    decide("QWX", "72696002")
    path = Decisions(tmp_path).path
    path.write_text(path.read_text("utf-8").replace("72696002", "72696003"), "utf-8")
    with pytest.raises(TableError, match=r"header-words\.sssom\.tsv:\d+ object_id"):
        LiveTerminology(graph, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("snomedct:72696002", "snomedct:404684003", "a body structure of"),
        ("snomedct:72696002", "snomedct:82169009", "the side of the object"),
        ("272479007", "404684003", "views.tsv"),
        ("StudyDescription", "StudyDescripton", "a DICOM keyword"),
    ],
)
def test_a_table_that_the_release_cannot_answer_is_refused(
    graph, decide, tmp_path, old, new, message
):
    decide("QWX", "72696002", view="PA", field="StudyDescription")
    path = Decisions(tmp_path).path
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(TableError) as refused:
        Terminology.over(graph, local=LocalMappings.read(tmp_path))
    assert message in str(refused.value)
    assert tmp_path.name in str(refused.value) or "header-words" in str(refused.value)


def test_a_table_of_codes_in_the_folder_comes_first(live, clock, tmp_path):
    shipped = (mappings_folder() / "unifesp.sssom.tsv").read_text("utf-8")
    own = shipped.replace("snomedct:818981001\tAbdomen", "snomedct:816092008\tPelvis")
    assert own != shipped
    (tmp_path / "unifesp-own.sssom.tsv").write_text(own, "utf-8")
    before = live.current().crosswalk.translate(Coding(UNIFESP, "0")).targets[0].code
    clock.tick()
    after = live.current().crosswalk.translate(Coding(UNIFESP, "0")).targets[0]
    assert (before, after.code) == ("818981001", "816092008")
    assert after.rows[0].startswith("unifesp-own.sssom.tsv:")


def test_a_fixed_terminology_is_never_looked_at():
    live = LiveTerminology.fixed(load_terminology())
    assert live.current() is load_terminology()
    assert not live.due
    assert live.folder is None


def test_language_models_are_told_of_a_decision(live, decide, clock):
    pytest.importorskip("mcp")
    from mcp import Client

    from terminology.mcp_server import make_server
    from terminology.queries import Queries

    server = make_server(Queries(live.latest.graph), live)

    def asked():
        async def ask():
            async with Client(server) as client:
                return await client.call_tool("map_header_value", {"value": "QWX"})

        return asyncio.run(ask()).structured_content["sites"]

    assert asked() == []
    decide("QWX", "72696002")
    clock.tick()
    assert [site["code"] for site in asked()] == ["72696002"]


def test_a_decided_value_takes_the_shipped_vocabulary_over(tmp_path, decide):
    before = load_terminology()
    decide("XR KGX", "72696002")
    after = before.decided_by(LocalMappings.read(tmp_path))
    assert after.text.words.sites is before.text.words.sites
    assert [site.code for site in after.text.read("xr_kgx").sites] == ["72696002"]
    assert before.text.read("XR KGX").sites == ()
    assert after.decided_by(LocalMappings()).text.read("XR KGX").sites == ()
