"""`make demo`: one night on this machine, from sample notes to published annotations, with Airflow's scheduler.

Uses the stack of `make up` if it is running, else starts one and stops it at the end. Exit code 0 if every note has its
outcome, every annotation matches its text, and the pages exist.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from enigma_tasks.documents import EntityType
from infra.local.processes import StackError
from infra.local.stack import STATE, Stack
from infra.local.user import Night, User, enigma, register, sample_corpora, train

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES = ["es", "en", "cs"]
TRAINING_NOTES = 96
"""Sample notes per language for training, held-out ones included."""
TRAINING_SEED, NIGHT_SEED = 1, 2
GOOD_NOTES = 55
AUTO_NOTES = 4
RECORDS = 3
BAD = {"not_utf8": 1, "empty": 1, "nul_byte": 1, "json_invalid": 1, "gzip_damaged": 1}
NIGHT_SECONDS = 300
WORTH_SHOWING_F1 = 0.3
"""A trained tiny champion scores far above this, an untrained one 0."""
COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "running": "cyan", "skipped": "magenta"}


@dataclass
class Demo:
    """The demo's console, clock and failed checks."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    began: float = field(default_factory=time.monotonic)
    wrong: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print one line with the time since the start."""
        self.console.print(f"[dim]{time.monotonic() - self.began:4.0f} s[/]  {text}")

    def expect(self, holds: bool, otherwise: str) -> None:
        """Record a failed check."""
        if not holds:
            self.wrong.append(otherwise)


def drops_of(gold: Path, folder: str, day: str) -> dict[str, bytes]:
    """Good notes from a sample with gold, and five bad ones, as keys below drops/.

    Most are in their language's folder, some in `auto` for language detection, some are records of one .jsonl file.
    """
    texts = {p.stem: (p.parent.parent.name, p.read_bytes()) for p in sorted(gold.glob("*/txt/*.txt"))}
    names = sorted(texts, key=lambda n: (n.rpartition("-")[2], n))  # languages in turn
    records, auto, rest = names[:RECORDS], names[RECORDS : RECORDS + AUTO_NOTES], names[RECORDS + AUTO_NOTES :]
    drops = {f"{texts[n][0]}/{day}/{folder}/{n}.txt": texts[n][1] for n in rest}
    drops |= {f"auto/{day}/{folder}/{n}.txt": texts[n][1] for n in auto}
    lines = [json.dumps({"id": n, "text": texts[n][1].decode(), "language": texts[n][0]}) for n in records]
    lines.insert(1, '{"id": "broken", "text": "cut off in the middle of')
    drops[f"auto/{day}/{folder}/records.jsonl"] = "\n".join(lines).encode()
    whole = gzip.compress(json.dumps({"id": "lost", "text": "never arrived " * 50}).encode(), mtime=0)
    drops |= {
        f"es/{day}/{folder}/latin-1.txt": "Paciente con neumonía y fiebre.".encode("latin-1"),
        f"en/{day}/{folder}/empty.txt": b"",
        f"cs/{day}/{folder}/nul.txt": b"Pacient\x00bez obt\xc3\xad\xc5\xbe\xc3\xad.",
        f"en/{day}/{folder}/cut-short.jsonl.gz": whole[: len(whole) // 2],
    }
    return drops


def champions(demo: Demo, environment: Mapping[str, str], folder: Path) -> None:
    """Generate training notes and train one model per language; needs no service."""
    sample_corpora(environment, LANGUAGES, TRAINING_NOTES, TRAINING_SEED, folder)
    with ThreadPoolExecutor(2) as pool:
        reports = pool.map(lambda language: train(environment, language, folder, threads=1), LANGUAGES)
        for language, report in zip(LANGUAGES, reports, strict=True):
            heads = ", ".join(f"{row['entity']} {row['strict_f1']:.2f}" for row in report["dev"])
            demo.say(f"trained [b]{language}[/], strict F1 on its held-out sample: {heads}")


def run_night(demo: Demo, user: User) -> Night:
    """Trigger the DAG and show the states of its tasks."""
    demo.say("triggering [b]annotate_nightly[/] in Airflow's scheduler")
    with Live(_states([]), console=demo.console, refresh_per_second=4, transient=True) as live:
        night = user.night(NIGHT_SECONDS, lambda tasks: live.update(_states(tasks)))
    demo.console.print(_states(user.api.tasks("annotate_nightly", night.run_id)))
    if night.state != "success":
        raise StackError(f"the night ended with {night.state}\n{user.failure(night)}")
    return night


def _states(tasks: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2))
    for column in ("task", "states", "seconds"):
        table.add_column(column)
    for word in ("plan", "annotate", "publish", "select", "reviewed", "monitor"):
        of_stage = [t for t in tasks if t["task_id"] == word]
        counts: dict[str, int] = {}
        for t in of_stage:
            counts[t["state"] or "waiting"] = counts.get(t["state"] or "waiting", 0) + 1
        states = "  ".join(f"[{COLOURS.get(s, 'yellow')}]{s}[/]{f' x {n}' if n > 1 else ''}" for s, n in counts.items())
        spent = [t["duration"] for t in of_stage if t["duration"]]
        table.add_row(word, states or "[dim]waiting[/]", f"{max(spent):.1f}" if spent else "")
    return table


def check_outcomes(demo: Demo, user: User, night: Night, dropped: int) -> None:
    """Check that every note has one outcome, and each bad one its rule."""
    counts = user.counts(night)
    rules = json.loads(user.read(f"quarantine/{night.batch_id}/rules.json"))
    demo.say(
        f"[b]{dropped}[/] notes: [green]{counts['annotated']} annotated[/] with {counts['entities']} entities, "
        f"[yellow]{counts['quarantined']} in quarantine[/]"
    )
    for line in user.read(f"quarantine/{night.batch_id}/quarantine.jsonl").decode().splitlines():
        item = json.loads(line)
        demo.console.print(f"          {item['rule']:<14} {item['record']}", style="yellow", markup=False)
    outcomes = counts["annotated"] + counts["quarantined"]
    demo.expect(outcomes == dropped, f"{outcomes} outcomes for {dropped} notes")
    demo.expect(rules == BAD, f"rules of the bad notes: {rules}, expected {BAD}")


def collect(demo: Demo, user: User, gold: Path, folder: Path, keys: list[str]) -> None:
    """Copy the published .ann files and their texts to `folder`, and check each line's surface."""
    published = {Path(key).stem: key for key in keys}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted(gold.glob("*/txt/*.txt")):
        key = published.get(path.stem)
        demo.expect(key is not None, f"{path.stem} has no .ann file")
        if key is None:
            continue
        place = folder / path.parent.parent.name
        place.mkdir(exist_ok=True)
        shutil.copy(path, place / path.name)
        (place / f"{path.stem}.ann").write_bytes(user.read(key))
        text = path.read_bytes().decode()
        for line in user.read(key).decode().split("\n"):
            if line.startswith("T"):
                _, middle, surface = line.split("\t")
                _, start, end = middle.split(" ")
                same = text[int(start) : int(end)].replace("\r", " ").replace("\n", " ") == surface
                demo.expect(same, f"{path.stem}.ann: {start}..{end} is not its surface")


def show_scores(demo: Demo, environment: Mapping[str, str], gold: Path, found: Path) -> None:
    """Print strict F1 of the published annotations against the sample's gold, with numbers of notes and spans."""
    title = "strict F1 against the sample's gold (synthetic notes, not a clinical measure)"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    table.add_column("language", no_wrap=True)
    for column in ("notes", "spans", *EntityType, "all", "95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    micro: dict[str, float] = {}
    for language in LANGUAGES:
        place = found / language
        report = enigma(environment, "score", "--gold", str(gold / language), "--pred", str(place), "--by", "label")
        by = {row["label"].lower(): row for row in report["by_label"]}
        types = [f"{by[t]['f1']:.3f}" if t in by else "-" for t in EntityType]
        interval = report["strict"]["f1_interval"]
        micro[language] = report["strict"]["f1"]
        table.add_row(
            language, str(report["documents"]), str(report["gold_spans"]), *types,
            f"{micro[language]:.3f}", f"{interval['low']:.3f}-{interval['high']:.3f}",
        )  # fmt: skip
    demo.console.print(table)
    for language, f1 in micro.items():
        demo.expect(f1 > WORTH_SHOWING_F1, f"strict F1 of {language} is only {f1:.3f}")


def keep_page(demo: Demo, user: User, night: Night, folder: Path) -> None:
    """Download the morning page, so that it can be opened as a file."""
    page = folder / f"{night.batch_id}.html"
    folder.mkdir(parents=True, exist_ok=True)
    page.write_bytes(user.read(f"reports/{night.batch_id}/index.html"))
    demo.say(f"the morning page: [b]{page}[/]")


def run(demo: Demo, stack: Stack, *, started: bool) -> None:
    """Run the demo on a running stack, or start one."""
    work = stack.folder / "demo"
    with ThreadPoolExecutor(1) as pool:
        if not started:
            stack.say = demo.say
        training = pool.submit(champions, demo, stack.environment, work)
        if not started:
            stack.start()
        training.result()
    user = User(stack)
    with ThreadPoolExecutor(2) as pool:
        for report in pool.map(lambda language: register(stack.environment, language, work), LANGUAGES):
            names = ", ".join(v["name"] for v in report["registered"])
            demo.say(f"registered {names} as first champions, each by a line of its journal")
    now = datetime.now(UTC)
    gold = work / "gold"
    shutil.rmtree(gold, ignore_errors=True)
    asked = ["--notes", str(GOOD_NOTES), "--language", *LANGUAGES, "--seed", str(NIGHT_SEED), "--out", str(gold)]
    enigma(stack.environment, "sample", *asked)
    drops = drops_of(gold, f"demo-{now:%H%M%S}", f"{now:%Y-%m-%d}")
    user.drop(drops)
    dropped = GOOD_NOTES + sum(BAD.values())
    demo.say(
        f"dropped [b]{dropped}[/] notes into s3://enigma/drops in {len(drops)} files, {sum(BAD.values())} of them bad"
    )
    before = user.objects("annotations/")
    night = run_night(demo, user)
    check_outcomes(demo, user, night, dropped)
    written = [k for k, etag in user.objects("annotations/").items() if before.get(k) != etag]
    collect(demo, user, gold, work / "published", written)
    show_scores(demo, stack.environment, gold, work / "published")
    keep_page(demo, user, night, stack.folder / "reports")


def main(state: Path = STATE) -> int:
    """Run the demo; returns the exit code."""
    demo = Demo()
    stack = Stack.load(state)
    started = stack is not None and stack.running
    if stack is None or not started:
        stack = Stack(state)
    demo.say("using the running stack" if started else "starting S3, MLflow and Airflow, and training models")
    try:
        run(demo, stack, started=started)
    except StackError as error:
        demo.console.print(str(error), markup=False)
        demo.wrong.append("the night failed")
    except KeyboardInterrupt:
        demo.wrong.append("interrupted")
    finally:
        if started:
            demo.console.print(stack.describe(), markup=False)
        else:
            stack.stop()
            demo.say("stopped the stack; `make up` starts one and leaves it running")
    for line in demo.wrong:
        demo.console.print(f"[red]failed:[/] {line}")
    if not demo.wrong:
        demo.say("[green]all checks passed[/]")
    return 1 if demo.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
