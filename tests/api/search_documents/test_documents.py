"""Studies as documents of a search engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.cli import main
from api.jobs.snapshot import Past
from api.search_documents import export as exporting
from api.search_documents.document import StudyDocuments, bulk_lines
from api.search_documents.export import DocumentExport, found_in
from api.search_documents.mapping import index_body
from api.search_documents.names import SiteNames
from api.store import SqlStore
from terminology.library import Terminology
from tests.api.client import Client
from tests.api.conftest import make_dicom
from tests.api.search_documents.evaluator import Index

pytestmark = pytest.mark.databases

INDEX = "bodysite-studies"
Lines = Sequence[str]


@pytest.fixture(scope="module")
def names(terminology: Terminology) -> SiteNames:
    return SiteNames(terminology)


@pytest.fixture
def export(store: SqlStore, names: SiteNames) -> DocumentExport:
    return DocumentExport(store.engine, StudyDocuments(names))


@pytest.fixture
def studies(client: Client) -> dict[str, str]:
    """Studies in the store: body part → id."""
    found = {}
    for part in ("HAND", "KNEE", "CHEST", "FOOT"):
        dicom = make_dicom(BodyPartExamined=part, ImageLaterality="L", ViewPosition="AP")
        bundle = client.annotate(dicom).json()
        found[part] = bundle["entry"][0]["resource"]["id"]
    return found


def lines_of(export: DocumentExport, since: int | None = None) -> list[str]:
    return [line for entry in export.lines(export.begin(INDEX, since)) for line in entry.lines]


def actions(lines: Lines) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Yield the actions of a bulk request with their documents, as an engine parses them."""
    parsed = iter([json.loads(line) for line in lines])
    for action in parsed:
        yield action, None if "delete" in action else next(parsed)


def indexed(names: SiteNames, lines: Lines) -> Index:
    index = Index(index_body(names.languages))
    index.bulk(actions(lines))
    return index


def test_a_document_says_what_is_known_of_a_study(
    export: DocumentExport, names: SiteNames, studies: dict[str, str]
) -> None:
    document = indexed(names, lines_of(export)).documents[studies["KNEE"]]
    assert document["site"][0] == "72696002"
    assert (document["modality"], document["laterality"]) == (["DX"], ["left"])
    assert document["view"] == ["399348003"]
    assert document["started"] == "2026-03-01"
    assert {"Knie", "Kniegelenk"} <= set(document["names"]["de"])
    assert "genou" in document["names"]["fr"]
    assert len(document["names"]) > 15
    assert document["series"][0]["site"] == "72696002"
    assert document["identifier"][0].startswith("urn:dicom:uid|urn:oid:")
    assert "P-4711" not in json.dumps(document)
    assert "Mustermann" not in json.dumps(document)


def test_a_term_finds_what_a_search_below_finds(
    export: DocumentExport, names: SiteNames, studies: dict[str, str], client: Client
) -> None:
    index = indexed(names, lines_of(export))
    graph = names.graph
    used = {code for one in index.documents.values() for code in one["site"]}
    asked = {above for code in used for above in graph.above_set(code)} | {"1234567"}
    asked |= {"51185008", "43799004", "302545001", "61685007", "22943007"}
    assert len(asked) > 20
    for code in sorted(asked):
        answer = client.get(f"/r4/ImagingStudy?bodysite:below=http://snomed.info/sct|{code}")
        if answer.status_code == 200:
            expected = {one["resource"]["id"] for one in answer.json().get("entry", ())}
            assert index.term("site_and_above", code) == expected, code
        else:
            assert index.term("site_and_above", code) == set()
    assert index.term("site_and_above", "61685007") == {studies["KNEE"], studies["FOOT"]}


def test_words_of_any_language_find_the_site(
    export: DocumentExport, names: SiteNames, studies: dict[str, str]
) -> None:
    index = indexed(names, lines_of(export))
    for word, part in (("Kniegelenk", "KNEE"), ("ginocchio", "KNEE"), ("main", "HAND")):
        assert index.match(word) == {studies[part]}, word


@pytest.mark.parametrize(
    ("word", "language", "part"),
    [("knie", "de", "KNEE"), ("genou", "fr", "KNEE"), ("mano", "es", "HAND")],
)
def test_tantivy_finds_ancestors_and_words(
    export: DocumentExport,
    names: SiteNames,
    studies: dict[str, str],
    word: str,
    language: str,
    part: str,
) -> None:
    tantivy = pytest.importorskip("tantivy", reason="the package tantivy is not installed")
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw")
    builder.add_text_field("site_and_above", tokenizer_name="raw")
    builder.add_text_field(language)
    engine = tantivy.Index(builder.build())
    writer = engine.writer(15_000_000, 1)
    for _, document in actions(lines_of(export)):
        assert document is not None
        fields = {
            "id": [document["id"]],
            "site_and_above": document["site_and_above"],
            language: document["names"].get(language, []),
        }
        writer.add_document(tantivy.Document(**fields))
    writer.commit()
    writer.wait_merging_threads()
    engine.reload()
    searcher = engine.searcher()

    def found(query: Any) -> set[str]:
        return {searcher.doc(address)["id"][0] for _, address in searcher.search(query, 10).hits}

    limb = tantivy.Query.term_query(engine.schema, "site_and_above", "61685007")
    assert found(limb) == {studies["KNEE"], studies["FOOT"]}
    assert found(engine.parse_query(word, [language])) == {studies[part]}


def test_only_changes_and_deletions_since_a_time(
    export: DocumentExport,
    names: SiteNames,
    studies: dict[str, str],
    client: Client,
    store: SqlStore,
) -> None:
    whole = lines_of(export)
    index = indexed(names, whole)
    since = export.begin(INDEX, None).moment
    bundle = client.annotate(make_dicom(BodyPartExamined="HEAD")).json()
    head = bundle["entry"][0]["resource"]["id"]
    store.run(lambda transaction: transaction.delete("ImagingStudy", studies["FOOT"]))
    changes = lines_of(export, since)
    verbs = {where["_id"]: verb for action, _ in actions(changes) for verb, where in action.items()}
    assert verbs == {head: "index", studies["FOOT"]: "delete"}
    index.bulk(actions(changes))
    assert set(index.documents) == {head, *(studies[one] for one in ("HAND", "KNEE", "CHEST"))}
    # What comes late changes nothing.
    index.bulk(actions(whole))
    assert studies["FOOT"] not in index.documents


def test_what_is_stored_meanwhile_is_not_in_it(
    export: DocumentExport, studies: dict[str, str], client: Client, store: SqlStore
) -> None:
    begun = export.begin(INDEX, None)
    client.annotate(make_dicom(BodyPartExamined="HEAD"))
    store.run(lambda transaction: transaction.delete("ImagingStudy", studies["FOOT"]))
    ids = {json.loads(entry.lines[0])["index"]["_id"] for entry in export.lines(begun)}
    assert ids == set(studies.values())


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("killed_at", [1, 2, 3, 4, 5])
def test_an_export_that_was_ended_goes_on(
    export: DocumentExport,
    studies: dict[str, str],
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: int,
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    begun = export.begin(INDEX, None)
    expected = [line for entry in export.lines(begun) for line in entry.lines]
    whole = exporting._whole
    written = 0

    def whole_or_die(path: Path, text: str) -> None:
        nonlocal written
        written += 1
        if written == killed_at:
            path.with_name(f"{path.name}.part").write_text("half")
            raise Killed
        whole(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "_whole", whole_or_die)
        with pytest.raises(Killed):
            export.into(folder, begun, 1, lambda _: None)
    client.annotate(make_dicom(BodyPartExamined="HEAD"))
    for part in folder.glob("*.part"):
        part.unlink()
    left = begun if killed_at < 3 else found_in(folder)
    assert left is not None
    ended = export.into(folder, left, 1, lambda _: None)
    assert (ended.done, ended.documents, ended.files) == (True, len(studies), len(studies))
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("studies-*.ndjson")))
    assert text.splitlines() == expected
    assert found_in(folder) == ended


class _Engine(BaseHTTPRequestHandler):
    """What a client of a search engine talks to: the bulk request, as the protocol has it."""

    protocol_version = "HTTP/1.1"
    index: Index

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        path = self.path.partition("?")[0]
        assert path == "/_bulk", path
        assert "x-ndjson" in self.headers["content-type"] or "json" in self.headers["content-type"]
        assert body.endswith("\n")
        done = list(actions(body.splitlines()))
        type(self).index.bulk(iter(done))
        items = [
            {verb: {**where, "status": 200, "result": "done"}}
            for action, _ in done
            for verb, where in action.items()
        ]
        self._answer({"took": 1, "errors": False, "items": items})

    def do_GET(self) -> None:
        self._answer({"version": {"number": "9.0.0"}, "tagline": "You Know, for Search"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        asked = self.headers["accept"] or "*/*"
        self.send_header("content-type", "application/json" if asked == "*/*" else asked)
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


@pytest.fixture
def engine(names: SiteNames) -> Iterator[tuple[str, Index]]:
    """The address of an engine, and what it has."""
    index = Index(index_body(names.languages))
    handler = type("Engine", (_Engine,), {"index": index})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", index
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("package", "client_class"),
    [("elasticsearch", "Elasticsearch"), ("opensearchpy", "OpenSearch")],
)
def test_clients_of_both_engines_send_the_lines(
    export: DocumentExport,
    studies: dict[str, str],
    engine: tuple[str, Index],
    package: str,
    client_class: str,
) -> None:
    module = pytest.importorskip(package, reason=f"the package {package} is not installed")
    helpers = pytest.importorskip(f"{package}.helpers", reason=f"no helpers of {package}")
    address, index = engine
    client = getattr(module, client_class)(address)

    def as_helpers_have_it() -> Iterator[dict[str, Any]]:
        for action, source in actions(lines_of(export)):
            ((verb, where),) = action.items()
            found = {"_op_type": verb, **where}
            yield found if source is None else {**found, "_source": source}

    try:
        done, errors = helpers.bulk(client, as_helpers_have_it())
    finally:
        client.close()
    assert (done, errors) == (len(studies), [])
    assert set(index.documents) == set(studies.values())


def test_every_language_of_the_vocabulary_is_in_the_mapping(names: SiteNames) -> None:
    body = index_body(names.languages)
    fields = body["mappings"]["properties"]["names"]["properties"]
    assert set(fields) == set(names.languages)
    assert {"de", "en", "es", "fr", "it", "nl", "pt"} <= set(fields)
    assert (fields["de"]["analyzer"], fields["pl"]["analyzer"]) == ("german", "folded")
    for code in ("72696002", "85562004", "69536005"):
        assert set(names.of(code)) <= set(fields)


@pytest.mark.parametrize("code", ["1234567", "999999990989121104", "left hand"])
def test_a_code_that_nobody_knows_is_found_by_itself(names: SiteNames, code: str) -> None:
    site = {"system": "http://snomed.info/sct", "code": code, "display": "Own site"}
    body = json.dumps({"series": [{"uid": "1.2", "bodySite": site}]})
    document = StudyDocuments(names).document(Past(1, "ImagingStudy", "s", 1, 1, False, body), ())
    assert document["site_and_above"] == [code]
    assert "names" not in document
    assert document["text"] == "Own site"


def test_the_command_writes_a_folder_that_it_goes_on_with(
    studies: dict[str, str], database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    arguments = ["documents", "export", "--database", database, "--out", str(folder)]
    run = CliRunner().invoke
    done = run(main, [*arguments, "--language", "de"])
    assert done.exit_code == 0, done.output
    assert f"{len(studies)} document(s) in 1 file(s)." in done.output
    state = json.loads((folder / "export.json").read_text())
    lines = (folder / "studies-000001.ndjson").read_text("utf-8").splitlines()
    found = [source for _, source in actions(lines)]
    assert {one["id"] for one in found if one} == set(studies.values())
    assert {language for one in found if one for language in one["names"]} == {"de"}
    again = run(main, arguments)
    assert again.exit_code == 0
    other = run(main, [*arguments, "--index", "another"])
    assert other.exit_code == 2
    assert "another --index" in other.output
    piped = run(main, [*arguments[:-1], "-", "--since", state["transactionTime"]])
    assert (piped.exit_code, piped.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "--since"),
        (["--language", "tlh"], "--language"),
        (["--file-size", "0"], "--file-size"),
    ],
)
def test_the_command_refuses(
    database: str, store: SqlStore, tmp_path: Path, arguments: list[str], said: str
) -> None:
    command = ["documents", "export", "--database", database, "--out", str(tmp_path / "new")]
    done = CliRunner().invoke(main, [*command, *arguments])
    assert done.exit_code == 2
    assert said in done.output


def test_a_folder_of_something_else_is_left_alone(
    database: str, store: SqlStore, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    command = ["documents", "export", "--database", database, "--out", str(tmp_path / "mine")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "other files" in done.output


def test_the_command_prints_the_mapping(names: SiteNames) -> None:
    done = CliRunner().invoke(main, ["documents", "mapping"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == index_body(names.languages)


def test_a_deletion_has_no_document() -> None:
    gone = Past(1, "ImagingStudy", "s", 4, 1, True, "{}")
    (line,) = bulk_lines(INDEX, gone, None)
    assert json.loads(line)["delete"]["version"] == 4
