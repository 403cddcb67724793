"""`enigma augment` from the command line: corpora in and out, the installed hunspell, a language model over HTTP."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.artifacts import AUGMENTATION_DICTIONARY, PROVENANCE
from enigma_tasks.augmentation.dictionary import parse_dictionary
from enigma_tasks.augmentation.inflection import Affixes, build_dictionary, read_terms
from enigma_tasks.cli import main
from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from enigma_tasks.gold.augmented import is_augmented, parse_provenance
from enigma_tasks.synthetic.generator import notes
from tests.integration.test_llm_endpoint import Endpoint, chat

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALLED = Path("/usr/share/hunspell")
"""Where Debian's hunspell-* packages put their files."""
TERMS = Path(__file__).parents[3] / "shared" / "terms" / "hpo-cs-synonyms.tsv"
PARAMS = str(Path(__file__).parents[2] / "params.yaml")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Czech sample gold, 40 notes."""
    folder = tmp_path_factory.mktemp("gold") / "gold"
    write_corpus(list(notes(40, ["cs"], 11)), folder / "cs")
    return folder


def augment(capsys: pytest.CaptureFixture[str], corpus: Path, out: Path, *arguments: str, code: int = 0) -> Any:
    given = ["augment", str(corpus), "--out", str(out), "--params", PARAMS, "--json", "--quiet", *arguments]
    if "--language" not in arguments:
        given += ["--language", "cs"]
    assert main(given) == code
    said = capsys.readouterr()
    return json.loads(said.out) if code == 0 else said.err


def sound(documents: list[Document]) -> bool:
    return all(e.text == d.text[e.char_start : e.char_end] for d in documents for e in d.entities)


def test_morphology_at_least_triples_czech_sample_gold_and_names_every_parent(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = augment(capsys, corpus, tmp_path / "out", "--method", "morphology")
    before, after = read_corpus(corpus), read_corpus(tmp_path / "out")
    assert len(after) >= 3 * len(before)
    assert report["times"] == round(len(after) / len(before), 3)
    assert sound(after)
    assert {d.id: d for d in after if not is_augmented(d.id)} == {d.id: d for d in before}
    rows = parse_provenance((tmp_path / "out" / PROVENANCE).read_text(), "p")
    assert {r.id for r in rows} == {d.id for d in after if is_augmented(d.id)}
    assert {p for r in rows for p in r.parents} <= {d.id for d in before}
    assert {r.method for r in rows} == {"morphology"}
    assert len({d.text for d in after}) == len(after)


def test_the_same_command_writes_the_same_bytes_and_its_dictionary_can_be_used_again(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    augment(capsys, corpus, tmp_path / "a", "--method", "morphology")
    augment(capsys, corpus, tmp_path / "a", "--method", "morphology")  # in the place of the first
    used = str(tmp_path / "a" / AUGMENTATION_DICTIONARY)
    augment(capsys, corpus, tmp_path / "b", "--method", "morphology", "--dictionary", used)
    a, b = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*") if p.is_file()}
        for d in (tmp_path / "a", tmp_path / "b")
    )
    assert a == b


@pytest.mark.parametrize("shape", ["side_by_side", "by_entity", "packed"])
def test_a_corpus_is_written_in_the_shape_it_was_read_in(
    shape: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = [
        Document(d.id, d.text, d.of_type(EntityType.DISEASE), "cs", frozenset({EntityType.DISEASE}))
        if shape != "side_by_side"
        else d
        for d in notes(3, ["cs"], 5)
    ]
    write_corpus(documents, tmp_path / "in", shape)
    augment(capsys, tmp_path / "in", tmp_path / "out", "--method", "oversample")
    before = {str(p.relative_to(tmp_path / "in")) for p in (tmp_path / "in").rglob("*") if p.is_file()}
    after = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert before <= after
    found = read_corpus(tmp_path / "out", "cs")
    assert len(found) == 6
    assert sound(found)
    assert {d.annotated for d in found} == {d.annotated for d in documents}


def test_what_was_augmented_before_is_taken_along_and_nothing_is_made_of_it(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    augment(capsys, corpus, tmp_path / "a", "--method", "oversample")
    augment(capsys, tmp_path / "a", tmp_path / "b", "--method", "morphology")
    ids = {d.id for d in read_corpus(tmp_path / "b")}
    assert {i for i in ids if "--oversample" in i} == {f"{d.id}--oversample-1" for d in read_corpus(corpus)}
    assert not any(i.count("--") > 1 for i in ids)
    rows = parse_provenance((tmp_path / "b" / PROVENANCE).read_text(), "p")
    assert {r.id for r in rows} == {i for i in ids if is_augmented(i)}


def test_nothing_augmented_gets_into_a_split_or_passes_validation_in_dev(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    augment(capsys, corpus, tmp_path / "out", "--method", "oversample")
    assert main(["split", str(tmp_path / "out"), "--out", str(tmp_path / "s"), "--params", PARAMS]) == 1
    assert "augmented_document" in capsys.readouterr().err
    assert main(["split", str(corpus), "--out", str(tmp_path / "s"), "--params", PARAMS, "--quiet"]) == 0
    made = next(d for d in read_corpus(tmp_path / "out") if is_augmented(d.id))
    write_corpus([made], tmp_path / "s" / "train" / "cs")
    capsys.readouterr()
    main(["validate", str(tmp_path / "s"), "--params", PARAMS, "--json", "--quiet"])
    assert "augmented_document" not in capsys.readouterr().out
    write_corpus([made], tmp_path / "s" / "dev" / "cs")
    assert main(["validate", str(tmp_path / "s"), "--params", PARAMS, "--json", "--quiet"]) == 1
    defects = json.loads(capsys.readouterr().out)["defects"]
    assert (made.id, "augmented_document") in {(d["document"], d["rule"]) for d in defects}
    again = ["split", str(corpus), "--out", str(tmp_path / "t"), "--frozen", str(tmp_path / "s"), "--params", PARAMS]
    assert main(again) == 1
    assert "augmented_document" in capsys.readouterr().err
    both = ["augment", str(tmp_path / "s"), "--out", str(tmp_path / "u"), "--language", "cs", "--method", "oversample"]
    assert main([*both, "--params", PARAMS]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--method", "oversample", "--dictionary", "d.tsv"],
        ["--method", "morphology", "--terms", "t.tsv"],
        ["--method", "morphology", "--dictionary", "nowhere.tsv"],
        ["--method", "morphology", "--language", "xx"],
        ["--method", "morphology", "--language", "nl"],  # none of its documents
        ["--method", "paraphrase"],  # no endpoint
    ],
)
def test_a_command_that_cannot_be_meant_writes_nothing(
    arguments: list[str],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ENIGMA_LLM_BASE_URL", raising=False)
    augment(capsys, corpus, tmp_path / "out", *arguments, code=2)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_something_else_is_left_alone(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")
    augment(capsys, corpus, tmp_path / "out", "--method", "oversample", code=2)
    augment(capsys, corpus, corpus, "--method", "oversample", code=2)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.txt"]


# --- a dictionary of a hospital's term list and the installed affix rules


def test_installed_czech_rules_make_1399_entries_in_887_families_of_a_term_list(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (INSTALLED / "cs_CZ.aff").is_file():
        pytest.skip("Debian's hunspell-cs is not installed")
    if not TERMS.is_file():
        pytest.skip("no term list at ../shared/terms")
    terms = tmp_path / "terms.tsv"
    terms.write_text("".join(TERMS.read_text("utf-8").splitlines(keepends=True)[:5000]), "utf-8")
    built_of = ("--terms", str(terms), "--affixes", str(INSTALLED))
    report = augment(capsys, corpus, tmp_path / "out", "--method", "morphology", *built_of)
    assert report["dictionary"]["entries"] >= 1399
    assert report["dictionary"]["families"] >= 887
    assert sound(read_corpus(tmp_path / "out"))
    built = parse_dictionary((tmp_path / "out" / AUGMENTATION_DICTIONARY).read_text("utf-8"), "d")
    assert (len(built.entries), built.families) == tuple(report["dictionary"].values())
    inflected = [e for e in built.entries if any(t.endswith((".gen", ".acc", ".ins")) for t in e.grammar)]
    assert len(inflected) >= 1399  # forms that were made, not only listed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "term", "form"),
    [("es", "fractura", "fracturas"), ("it", "febbre", "febbri"), ("sv", "njure", "njurar")],
)
def test_installed_rules_of_another_language_inflect_terms_of_one_word(language: str, term: str, form: str) -> None:
    if not list(INSTALLED.glob(f"{language}*.aff")):
        pytest.skip(f"Debian's hunspell-{language} is not installed")
    terms = read_terms(f"concept\tterm\nC1\t{term}\n", "t")
    built = build_dictionary(terms, Affixes.load(INSTALLED, language), language)
    assert form in {e.form for e in built.entries}


# --- paraphrases over HTTP

SENTENCES = ("Pacient má kašel.", "Trvá horečka večer.", "Proveden rentgen hrudníku.", "Udává únavu.", "Neguje závrať.")
SURFACES = (
    ("SYMPTOM", "kašel"),
    ("SYMPTOM", "horečka"),
    ("PROCEDURE", "rentgen hrudníku"),
    ("SYMPTOM", "únavu"),
    ("SYMPTOM", "závrať"),
)


@pytest.fixture
def server() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield endpoint
    endpoint.shutdown()
    endpoint.server_close()


@pytest.fixture
def five(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Endpoint) -> Path:
    """A note of five sentences with a mention each; the environment names the server, and allows nothing."""
    text = " ".join(SENTENCES)
    entities = tuple(entity_at("n", text, label, text.index(s), text.index(s) + len(s)) for label, s in SURFACES)
    write_corpus([Document("n", text, entities, "cs")], tmp_path / "five")
    for name in ("ENIGMA_LLM_ALLOWED_HOSTS", "ENIGMA_ALLOW_EXTERNAL_LLM", "ENIGMA_LLM_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENIGMA_LLM_BASE_URL", server.url)
    monkeypatch.setenv("ENIGMA_LLM_API_KEY", "s3cret-key")
    monkeypatch.setenv("ENIGMA_LLM_ATTEMPTS", "2")
    monkeypatch.setenv("ENIGMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "five"


def sentence_of(body: dict[str, Any]) -> str:
    return str(json.loads(body["messages"][-1]["content"])["sentence"])


def says(text: str) -> dict[str, Any]:
    return chat(json.dumps({"paraphrase": text}))


def test_note_text_goes_nowhere_unless_the_host_or_the_variable_allows_it(
    five: Path, tmp_path: Path, server: Endpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda body: says("Nově: " + sentence_of(body))
    said = augment(capsys, five, tmp_path / "out", "--method", "paraphrase", code=2)
    assert "ENIGMA_ALLOW_EXTERNAL_LLM" in said
    assert server.received == []
    monkeypatch.setenv("ENIGMA_ALLOW_EXTERNAL_LLM", "1")
    report = augment(capsys, five, tmp_path / "out", "--method", "paraphrase")
    assert (report["made"], report["sentences"]["accepted"], len(server.received)) == (1, 5, 5)


def test_good_answers_are_taken_bad_ones_dropped_by_rule_and_the_cache_answers_a_second_run(
    five: Path, tmp_path: Path, server: Endpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_LLM_ALLOWED_HOSTS", "127.0.0.1")
    answers = {
        SENTENCES[0]: says("U pacienta je přítomen kašel."),
        SENTENCES[1]: says("Večer trvá teplota."),  # the mention is lost
        SENTENCES[2]: says("Proveden rentgen hrudní."),  # the mention is changed
        SENTENCES[3]: chat("I cannot help", refusal="no"),
        SENTENCES[4]: chat("Tady je věta: závrať"),  # no JSON, asked again in vain
    }
    server.answer = lambda body: answers[sentence_of(body)]
    report = augment(capsys, five, tmp_path / "out", "--method", "paraphrase")
    assert report["sentences"] == {
        "accepted": 1,
        "dropped": {"llm_answer_malformed": 1, "llm_refused": 1, "mention_lost": 2},
    }
    made = next(d for d in read_corpus(tmp_path / "out", "cs") if is_augmented(d.id))
    assert made.text == " ".join(["U pacienta je přítomen kašel.", *SENTENCES[1:]])
    assert [e.text for e in made.entities] == [s for _, s in SURFACES]
    assert sound([made])
    before = len(server.received)
    again = augment(capsys, five, tmp_path / "again", "--method", "paraphrase")
    assert again["made"] == 1
    assert again["usage"]["cached"] == 3  # what the endpoint answered well; refusals and nonsense are asked anew
    assert len(server.received) == before + 4


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ((500, {"error": {"message": "Pacient má kašel."}}), 3),
        ((200, chat("")), 0),
        ((200, b"<html>Pacient"), 0),
        ((200, chat('{"paraphrase": "Pacient', finish="length")), 0),
    ],
    ids=["500", "empty", "not JSON", "cut"],
)
def test_an_endpoint_of_no_use_makes_nothing_and_quotes_nobody(  # noqa: PLR0917
    script: tuple[int, Any],
    code: int,
    five: Path,
    tmp_path: Path,
    server: Endpoint,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("ENIGMA_LLM_ALLOWED_HOSTS", "127.0.0.1")
    server.script = [script]
    said = augment(capsys, five, tmp_path / "out", "--method", "paraphrase", code=code)
    assert (tmp_path / "out").exists() == (code == 0)
    if code == 0:
        assert said["made"] == 0
        assert sum(said["sentences"]["dropped"].values()) == 5
    assert "Pacient" not in str(said) + caplog.text
