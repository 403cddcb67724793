"""The demo's loop: first champions, new gold, the retraining of one language, the gate, and a person's approval."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rich.live import Live

from enigma_tasks.documents import EntityType
from infra.local.airflow import DONE
from infra.local.demo_night import states
from infra.local.processes import StackError
from infra.local.user import PROMOTE, RETRAIN, enigma, register, sample_corpora, train

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from infra.local.demo import Demo
    from infra.local.user import User

RETRAINED = "es"
TRAINING_NOTES = {"es": 48, "en": 96, "cs": 96}
"""Sample notes for training the first champions, held-out ones included: fewer in the language that is retrained."""
TRAINING_SEED, GOLD_SEED = 1, 100
GOLD_NOTES = 260
"""A fifth is frozen as test set: a few more documents than `promotion.documents` of params.yaml."""
WAKING_SECONDS, RETRAINING_SECONDS, PROMOTION_SECONDS = 120, 480, 240
RETRAINING = ("changes", "prepare", "train", "ensemble", "evaluate", "register")
DECIDED = {"promoted": "green", "refused": "red", "undecided": "yellow", "outside_plan": "red"}


def train_champions(demo: Demo, environment: Mapping[str, str], languages: Collection[str], folder: Path) -> None:
    """Generate training notes and train one model per language; needs no service."""

    def of(language: str) -> dict[str, Any]:
        sample_corpora(environment, [language], TRAINING_NOTES[language], TRAINING_SEED, folder / language)
        return train(environment, language, folder / language, threads=1)

    with ThreadPoolExecutor(2) as pool:
        for language, report in zip(languages, pool.map(of, languages), strict=True):
            heads = ", ".join(f"{row['entity']} {row['strict_f1']:.2f}" for row in report["dev"])
            notes = TRAINING_NOTES[language]
            demo.say(f"trained [b]{language}[/] on {notes} notes, strict F1 on those held out of them: {heads}")


def register_champions(demo: Demo, environment: Mapping[str, str], languages: Collection[str], folder: Path) -> None:
    """Make the trained models the first champions."""
    with ThreadPoolExecutor(2) as pool:
        for report in pool.map(lambda language: register(environment, language, folder / language), languages):
            names = ", ".join(v["name"] for v in report["registered"])
            demo.say(f"registered {names} as first champions, each by a line of its journal")


def present_champions(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Language -> registered model -> the version that is champion by its journal."""
    found: dict[str, dict[str, str]] = {}
    for line in enigma(environment, "registry", "history")["lines"]:
        language = line["name"].removeprefix("enigma-").rpartition("-")[0]
        if line["champion"]:
            found.setdefault(language, {})[line["name"]] = line["champion"]
    return found


def check_nothing_waits(user: User) -> None:
    """Raise StackError where a run of `promote` waits for a person: until it ends, no event wakes another one."""
    if any(user.api.state(PROMOTE, run) not in DONE for run in user.api.runs(PROMOTE)):
        raise StackError(f"a run of {PROMOTE} waits for an answer: open Required actions in Airflow, then try again")


def close_loop(demo: Demo, user: User, *, must_promote: bool) -> None:
    """Gold drop -> retraining -> gate -> approval of every type that passed.

    `must_promote`: the champions are the demo's own weak ones, so every challenger is expected to pass the gate.
    """
    retrained, compared = user.api.runs(RETRAIN), user.api.runs(PROMOTE)
    deliver(demo, user)
    retrain(demo, user, retrained)
    promote(demo, user, compared, must_promote=must_promote)


def deliver(demo: Demo, user: User) -> None:
    """Drop new gold of one language, and ingest it as a version of the gold repository."""
    number, folder = len(user.gold_versions()), user.stack.folder / "demo/gold"
    shutil.rmtree(folder, ignore_errors=True)
    asked = ("--notes", str(GOLD_NOTES), "--language", RETRAINED, "--seed", str(GOLD_SEED + number))
    enigma(user.stack.environment, "sample", "--packed", *asked, "--out", str(folder))
    paths = sorted(folder.rglob("*.jsonl.gz"))
    user.drop_gold({f"{RETRAINED}/{p.name.partition('.')[0]}/demo-{number}.jsonl.gz": p.read_bytes() for p in paths})
    report = user.ingested(RETRAINING_SECONDS)
    counts = report["counts"]
    demo.say(
        f"gold: [b]{GOLD_NOTES}[/] {RETRAINED} notes with {len(paths)} types; {counts['added']} documents added, "
        f"{counts['quarantined']} in quarantine, version {report['revision'][:12]}"
    )
    expected = GOLD_NOTES * len(paths)
    demo.expect(counts["added"] == expected, f"{counts['added']} of {expected} documents added")


def retrain(demo: Demo, user: User, before: Collection[str]) -> None:
    """Wait for the retraining that the new version has woken."""
    run_id = user.woken(RETRAIN, before, WAKING_SECONDS)
    demo.say(f"the new version has woken [b]{RETRAIN}[/]")
    with Live(states([], RETRAINING), console=demo.console, refresh_per_second=4, transient=True) as live:
        state = user.api.wait(RETRAIN, run_id, RETRAINING_SECONDS, lambda tasks: live.update(states(tasks, RETRAINING)))
    demo.console.print(states(user.api.tasks(RETRAIN, run_id), RETRAINING))
    if state != "success":
        raise StackError(f"{RETRAIN} ended with {state}")
    prepared = user.api.xcom(RETRAIN, run_id, "prepare", key="prepared")
    if RETRAINED not in prepared:
        raise StackError(f"{RETRAIN} has not trained {RETRAINED}")
    counts = prepared[RETRAINED]
    demo.say(
        f"trained {RETRAINED} on {counts['train']} notes, dev has {counts['dev']}, the frozen test set {counts['test']}"
    )


def promote(demo: Demo, user: User, before: Collection[str], *, must_promote: bool) -> None:
    """Show what the gate decided, approve what passed, and show who is champion now."""
    run_id = user.woken(PROMOTE, before, WAKING_SECONDS)
    demo.say(f"the challengers have woken [b]{PROMOTE}[/]")
    asked = user.asked(run_id, PROMOTION_SECONDS)
    for entity in EntityType:
        name = f"enigma-{RETRAINED}-{entity}"
        look = _newest_decision(user, name)
        result = show_decision(demo, name, look)
        demo.expect(
            result == "promoted" or not must_promote, f"{name}: the challenger was not promoted over the first champion"
        )
        demo.expect((name in asked) == (result == "promoted"), f"{name}: {result}, but a person was asked or was not")
        if name not in asked:
            continue
        user.approve(asked[name])
        demo.say(f"approved {name} through Airflow's API")
    state = user.api.wait(PROMOTE, run_id, PROMOTION_SECONDS)
    demo.expect(state == "success", f"{PROMOTE} ended with {state}")
    now = present_champions(user.stack.environment)[RETRAINED]
    demo.say("champions: " + ", ".join(f"{name} version {version}" for name, version in sorted(now.items())))


def show_decision(demo: Demo, name: str, look: Mapping[str, Any]) -> str:
    """Print a decision of the gate with its numbers, and what speaks against the challenger; returns its result."""
    decision = look["decision"]
    result = str(decision["result"])
    against = [reason["sentence"] for reason in decision["reasons"] if not reason["passed"]]
    measured = ""
    if decision["challenger"] and decision["champion"]:
        ours, theirs = decision["challenger"]["value"], decision["champion"]["value"]
        measured = (
            f"strict F1 {ours:.3f} against {theirs:.3f} on {decision['test_documents']} documents, "
            f"p = {decision['p_value']:.2g} at level {decision['alpha']:.2g}"
        )
    words = ". ".join(filter(None, [measured, " ".join(against)]))
    demo.say(f"gate: {name} version {look['challenger']['version']} [{DECIDED[result]}]{result}[/]: {words}")
    return result


def check_annotators(demo: Demo, user: User, batch_id: str) -> None:
    """Check that a night was planned with the champions of the journal."""
    pinned = json.loads(user.read(f"runs/{batch_id}/plan.json"))["models"][RETRAINED]
    used = {model["name"]: model["version"] for model in pinned.values()}
    now = present_champions(user.stack.environment)[RETRAINED]
    demo.say("this night ran on " + ", ".join(f"{name} version {version}" for name, version in sorted(used.items())))
    demo.expect(used == now, f"the night ran on {used}, the champions are {now}")


def _newest_decision(user: User, name: str) -> dict[str, Any]:
    keys = [key for key in user.objects(f"decisions/{name}/") if key.endswith(".json")]
    if not keys:
        raise StackError(f"there is no decision on a challenger of {name}: its comparison failed")
    return dict(json.loads(user.read(max(keys))))
