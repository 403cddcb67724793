"""The work list of a retraining: from gold and registry alone, whatever the events were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.gold.changes import TrainedVersion, TrainingWork, outdated

LANGUAGES, TYPES = ("cs", "es", "it"), ("disease", "procedure", "symptom")
Gold = dict[str, dict[str, str]]

digests = st.sampled_from(["a", "b", "c"])
gold_of_language = st.dictionaries(st.sampled_from(TYPES), digests, min_size=1)
versions_of_gold = st.lists(st.dictionaries(st.sampled_from(LANGUAGES), gold_of_language), min_size=1, max_size=6)


def registered(language: str, gold: dict[str, str], types: tuple[str, ...] = ()) -> list[TrainedVersion]:
    """What a whole retraining leaves, or only its first types."""
    together = tuple(sorted(gold))
    return [TrainedVersion(language, t, gold, together) for t in types or together]


def retrain(gold: Gold, registry: list[TrainedVersion]) -> list[TrainedVersion]:
    """A whole run of the DAG."""
    return registry + [v for language in outdated(gold, registry) for v in registered(language, gold[language])]


def test_gold_without_any_version_is_new_in_every_type() -> None:
    assert outdated({"es": {"disease": "a", "symptom": "b"}}, []) == {"es": ("disease", "symptom")}
    assert outdated({"es": {}}, []) == {}


def test_only_the_types_that_changed_are_named_and_the_whole_language_is_listed() -> None:
    trained = registered("es", {"disease": "a", "symptom": "b"})
    assert outdated({"es": {"disease": "c", "symptom": "b"}}, trained) == {"es": ("disease",)}
    assert outdated({"es": {"disease": "a", "symptom": "b"}}, trained) == {}


def test_a_type_that_gold_has_no_more_lists_the_language_without_a_type() -> None:
    assert outdated({"es": {"disease": "a"}}, registered("es", {"disease": "a", "symptom": "b"})) == {"es": ()}


def test_a_registration_that_was_killed_between_two_types_is_listed_again() -> None:
    gold = {"disease": "a", "symptom": "b"}
    assert outdated({"es": gold}, registered("es", gold, ("disease",))) == {"es": ("symptom",)}


def test_a_version_that_stands_for_another_language_counts_for_that_one_only() -> None:
    assert outdated({"es": {"disease": "a"}}, registered("it", {"disease": "a"})) == {"es": ("disease",)}


@given(versions_of_gold, st.data())
def test_lost_doubled_and_late_events_end_in_the_same_registry(history: list[Gold], data: st.DataObject) -> None:
    """Each gold version may wake the DAG never, once or several times; the newest gold is trained on at the end."""
    registry: list[TrainedVersion] = []
    for gold in history:
        for _ in range(data.draw(st.integers(0, 3))):
            registry = retrain(gold, registry)
    newest = history[-1]
    registry = retrain(newest, registry)
    assert outdated(newest, registry) == {}
    assert retrain(newest, registry) == registry
    for language, gold in newest.items():
        own = [v for v in registry if v.language == language and dict(v.gold) == gold]
        assert sorted(v.entity for v in own) == sorted(gold)


@given(gold_of_language, st.data())
def test_however_often_it_is_killed_the_last_run_registers_what_is_missing(gold: dict[str, str], data: st.DataObject):
    done = data.draw(st.lists(st.sampled_from(sorted(gold)), unique=True, max_size=len(gold) - 1))
    killed = registered("es", gold, tuple(done)) if done else []
    assert outdated({"es": gold}, killed)["es"] == tuple(sorted(set(gold) - set(done)))
    assert outdated({"es": gold}, killed + registered("es", gold)) == {}


def test_the_same_commits_are_the_same_run() -> None:
    work = TrainingWork(language="es", commit="c" * 40, revision="r" * 40, gold={"disease": "a"}, members=("tiny",))
    assert work.run == f"{'c' * 12}-{'r' * 12}"
    assert work.model_copy(update={"commit": "d" * 40}).run != work.run
