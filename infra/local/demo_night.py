"""The demo's nights: notes with gold and bad notes, the run of the DAG, and checks of what it leaves."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table

from enigma_tasks.documents import EntityType
from infra.local.processes import StackError
from infra.local.stack import DAG
from infra.local.user import enigma

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from infra.local.demo import Demo
    from infra.local.user import Night, User

LANGUAGES = ["es", "en", "cs"]
GOOD_NOTES = 55
AUTO_NOTES = 4
RECORDS = 3
BAD = {"not_utf8": 1, "empty": 1, "nul_byte": 1, "json_invalid": 1, "gzip_damaged": 1}
NIGHT_SECONDS = 300
WORTH_SHOWING_F1 = 0.3
"""A trained tiny champion scores far above this, an untrained one 0."""
TASKS = ("plan", "annotate", "publish", "select", "reviewed", "monitor")
COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "running": "cyan", "skipped": "magenta"}


def night(demo: Demo, user: User, seed: int, checked: Collection[str]) -> tuple[Night, dict[str, float]]:
    """Drop notes, run a night, check and show what it made of them, and keep its page.

    `checked`: the languages whose strict F1 must be worth showing. Returns the night, and strict F1 by language.
    """
    work, now = user.stack.folder / "demo", datetime.now(UTC)
    gold, environment = work / "notes", user.stack.environment
    shutil.rmtree(gold, ignore_errors=True)
    asked = ["--notes", str(GOOD_NOTES), "--language", *LANGUAGES, "--seed", str(seed), "--out", str(gold)]
    enigma(environment, "sample", *asked)
    drops = drops_of(gold, f"demo-{now:%H%M%S}", f"{now:%Y-%m-%d}")
    user.drop(drops)
    bad = sum(BAD.values())
    demo.say(f"dropped [b]{GOOD_NOTES + bad}[/] notes into s3://enigma/drops in {len(drops)} files, {bad} of them bad")
    before = user.objects("annotations/")
    ended = run_night(demo, user)
    check_outcomes(demo, user, ended, GOOD_NOTES + bad)
    written = [k for k, etag in user.objects("annotations/").items() if before.get(k) != etag]
    collect(demo, user, gold, work / "published", written)
    found = show_scores(demo, environment, gold, work / "published")
    for language in checked:
        demo.expect(found[language] > WORTH_SHOWING_F1, f"strict F1 of {language} is only {found[language]:.3f}")
    keep_page(demo, user, ended)
    return ended, found


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


def run_night(demo: Demo, user: User) -> Night:
    """Trigger the DAG and show the states of its tasks."""
    demo.say("triggering [b]annotate_nightly[/] in Airflow's scheduler")
    with Live(states([], TASKS), console=demo.console, refresh_per_second=4, transient=True) as live:
        ended = user.night(NIGHT_SECONDS, lambda tasks: live.update(states(tasks, TASKS)))
    demo.console.print(states(user.api.tasks(DAG, ended.run_id), TASKS))
    if ended.state != "success":
        raise StackError(f"the night ended with {ended.state}\n{user.failure(ended)}")
    return ended


def states(tasks: list[dict[str, Any]], words: Collection[str]) -> Table:
    """The states of a run's tasks, a row for each word."""
    table = Table(box=None, padding=(0, 2))
    for column in ("task", "states", "seconds"):
        table.add_column(column)
    for word in words:
        of_stage = [t for t in tasks if t["task_id"] == word]
        counts: dict[str, int] = {}
        for t in of_stage:
            counts[t["state"] or "waiting"] = counts.get(t["state"] or "waiting", 0) + 1
        shown = "  ".join(f"[{COLOURS.get(s, 'yellow')}]{s}[/]{f' x {n}' if n > 1 else ''}" for s, n in counts.items())
        spent = [t["duration"] for t in of_stage if t["duration"]]
        table.add_row(word, shown or "[dim]waiting[/]", f"{max(spent):.1f}" if spent else "")
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
                offsets = middle.partition(" ")[2]
                demo.expect(_surface(text, offsets) == surface, f"{path.stem}.ann: {offsets} is not its surface")


def _surface(text: str, offsets: str) -> str:
    """The surface of a BRAT mention: its fragments, of which one that crosses a line end has several, with blanks."""
    fragments = (fragment.split(" ") for fragment in offsets.split(";"))
    return " ".join(text[int(start) : int(end)] for start, end in fragments).replace("\r", " ").replace("\n", " ")


def show_scores(demo: Demo, environment: Mapping[str, str], gold: Path, found: Path) -> dict[str, float]:
    """Print strict F1 of the published annotations against the sample's gold; returns it by language."""
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
    return micro


def keep_page(demo: Demo, user: User, ended: Night) -> None:
    """Download the morning page and the list of nights, so that they can be opened as files; their links hold."""
    folder = user.stack.folder / "reports"
    page = folder / ended.batch_id / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_bytes(user.read(f"reports/{ended.batch_id}/index.html"))
    (folder / "index.html").write_bytes(user.read("reports/index.html"))
    demo.say(f"the morning page: [b]{page}[/]")
