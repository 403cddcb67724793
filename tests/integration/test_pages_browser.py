"""The pages in a real browser, headless Chromium: what is drawn, what is asked for, what the switches do."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.control_chart_simulation import Setting
from benchmarks.control_chart_simulation import night as simulated_night
from enigma_tasks.config import load_params
from enigma_tasks.documents import Entity
from enigma_tasks.estimates import DevError, EstimatedF1
from enigma_tasks.monitoring.control_chart import control_chart
from enigma_tasks.monitoring.moments import Moments
from enigma_tasks.monitoring.reviewed import F1Estimate
from enigma_tasks.pages.card import render_model_card
from enigma_tasks.pages.decision import render_decision_page
from enigma_tasks.pages.drift import drift_flags, drift_of
from enigma_tasks.pages.figures import (
    LanguageFigures,
    ModelFigures,
    NightFigures,
    NightRecord,
    QuarantinedNote,
    ShardTiming,
)
from enigma_tasks.pages.flags import flags, usual_ranges
from enigma_tasks.pages.morning import render_morning_page, render_nights_page
from enigma_tasks.pages.quality import GroupF1, JournalRow, Quality, chart_flags
from enigma_tasks.pages.review import render_review_page
from enigma_tasks.pages.summary import NightSummary
from enigma_tasks.pages.week import render_week_page
from tests.unit.test_decision_page import line as look_at
from tests.unit.test_gate import decided, model
from tests.unit.test_model_card import record

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.browser

CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
LABELS = ("DISEASE", "PROCEDURE", "SYMPTOM")
WIDTHS = (1280, 600)

NOTE = (
    "\ufeffINFORME DE ALTA\r\n\r\n"
    "Ingresa por dolor torácico opresivo y fiebre \U0001f912; radiografía de tórax con neumonía basal derecha.\r\n"
    "\tPlan: <b>antibioterapia</b> & reposo. \u202eotxet\u202c fin.\rFirma: guardia\n\n"
)
MENTIONS = (
    ("SYMPTOM", "dolor torácico opresivo"),
    ("SYMPTOM", "fiebre"),
    ("PROCEDURE", "radiografía de tórax"),
    ("DISEASE", "neumonía basal derecha"),
    ("SYMPTOM", "neumonía"),
    ("PROCEDURE", "antibioterapia"),
)


@dataclass(frozen=True)
class Browser:
    """Opens a local page in a fresh profile."""

    folder: Path

    def run(self, page: str, *options: str) -> tuple[str, str]:
        """(standard output, console lines) of Chromium on a page."""
        file = self.folder / "page.html"
        file.write_text(page, encoding="utf-8", newline="")
        profile = f"--user-data-dir={self.folder / 'profile'}"
        done = subprocess.run(
            [str(CHROMIUM), *QUIET, profile, *options, file.as_uri()], capture_output=True, timeout=240, check=True
        )
        console = [line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
        return done.stdout.decode(), "\n".join(console)

    def probe(self, page: str, script: str, width: int = 1280) -> Any:
        """What `script` (the body of a function) returns in the page, whose policy is opened for it alone."""
        opened = page.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
        assert opened != page
        write = f"document.body.dataset.probe = JSON.stringify((() => {{ {script} }})())"
        opened = opened.replace("</body>", f"<script>{write}</script></body>")
        dom, _ = self.run(opened, "--dump-dom", f"--window-size={width},900")
        found = re.search(r'data-probe="([^"]*)"', dom)
        assert found is not None, "the script did not run"
        return json.loads(html.unescape(found[1]))


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return Browser(tmp_path)


def night(day: int) -> NightFigures:
    languages = {}
    for place, language in enumerate(("cs", "en", "es", "it", "nl", "sv")):
        notes = 140 + 31 * place + day
        entities = {label: notes * (7 + 3 * i + (day * (place + i)) % 3) for i, label in enumerate(LABELS)}
        languages[language] = LanguageFigures(
            annotated=notes,
            entities=entities,
            characters=notes * 3000,
            characters_read=notes * 3000,
            measures=measures(notes, day, 2.0 if (language, day) == ("es", 9) else 1.0),
        )
    annotated = sum(f.annotated for f in languages.values())
    models = {
        language: {
            label.lower(): ModelFigures(
                name=f"enigma-{language}-{label.lower()}", version=str(3 + day // 9), digest="5e" * 32
            )
            for label in LABELS
        }
        for language in languages
    }
    return NightFigures(
        batch_id=f"2026-06-{day:02}",
        planned_at=f"2026-06-{day:02}T02:00:00+00:00",
        published=True,
        listed=annotated + 3,
        planned=annotated + 2,
        annotated=annotated,
        quarantined=2,
        waiting={"ro": 1},
        deferred={"es": 4, "": 1},
        rules={"empty": 1, "not_utf8": 1},
        languages=languages,
        scores={label: tuple(range(20)) for label in LABELS},
        seconds={
            "plan": 4.0,
            "annotate: load": 31.0,
            "annotate: compute": 400.0 + day,
            "annotate: read": 9.0,
            "publish": 12.0,
        },
        shards=6,
        models=models,
        estimated={"es": {"DISEASE": ESTIMATE}},
    )


DEV = DevError(documents=110, mentions=1200, estimated=0.775, measured=0.77, rms=0.012)
ESTIMATE = EstimatedF1(
    notes=200,
    spans=3000,
    matched=2400,
    missed=640,
    precision=0.8,
    recall=0.7895,
    f1=0.7947,
    low=0.76,
    high=0.83,
    dev=DEV,
)


def measures(notes: int, day: int, length: float) -> dict[str, Moments]:
    """Sums of notes that differ as real ones do; `length`: of the notes, a factor."""
    rng = np.random.default_rng(day)
    characters = rng.lognormal(8, 0.5, notes) * length
    words, one = np.round(characters / 6), np.ones(notes)
    found = {f"entities.{label}": Moments.of(rng.poisson(words * 0.02), words) for label in LABELS}
    found |= {f"probability.{label}": Moments.of(rng.beta(2, 20, notes) * 9, one * 9) for label in LABELS}
    either = rng.poisson(40, notes)
    return found | {
        "length": Moments.of(np.log(characters), one),
        "sub_words": Moments.of(np.round(words * rng.normal(1.4, 0.1, notes)), words),
        "unknown_sub_words": Moments.of(rng.poisson(words * 0.001), words),
        "disagreement": Moments.of(rng.binomial(either, 0.3), either),
        "without_entities": Moments.of(rng.random(notes) < 0.03, one),
    }


def quality() -> Quality:
    """Of reviewed notes whose strict F1 falls in the last weeks."""
    rng = np.random.default_rng(2)
    setting = Setting(notes=20, between=0.0)
    scores = [s for n in range(80) for s in simulated_night(n, 0.82 if n < 70 else 0.6, setting, rng)]
    scores = [replace(s, night=str(dt.date(2026, 3, 20) + dt.timedelta(days=int(s.night)))) for s in scores]
    weeks = [(f"2026-W{w}", f1) for w, f1 in zip(range(12, 24), [0.82] * 10 + [0.7, 0.6], strict=True)]
    return Quality(
        weeks=tuple(
            GroupF1(
                language="es",
                subject=week,
                estimate=F1Estimate(f1=f1, low=f1 - 0.04, high=f1 + 0.03, notes=140, mentions=3000),
            )
            for week, f1 in weeks
        ),
        charts={"es": control_chart(scores, load_params().monitor.chart)},
        floor=0.6,
        worth_review=("drops/es/2026-06-09/ward-1/n7.txt",),
        journal=(
            JournalRow(
                "2026-06-01T09:00:00+00:00", "enigma-es-disease", 3, "promoted", "4", "dr.ruiz", "Better by 2.1 points."
            ),
        ),
    )


def morning(*, first: bool = False) -> str:
    tonight, history = night(9), () if first else tuple(night(day) for day in range(1, 9))
    params = load_params().monitor
    drift = drift_of(tonight, [NightRecord(figures=n) for n in history], params)
    summary = NightSummary(
        figures=tonight,
        flags=flags(tonight, history, params, drift_flags(drift)),
        drift=drift,
        quality=Quality() if first else quality(),
        usual=usual_ranges(tonight, history, params),
        history=history,
        shards=tuple(ShardTiming(f"{code}-0000", code, 150, {"compute": 60.0}) for code in tonight.languages),
        quarantine=(
            QuarantinedNote(
                "drops/es/2026-06-09/a <img src=x onerror=alert(1)> very long name " + "x" * 300, "empty", 0
            ),
            QuarantinedNote("drops/it/2026-06-09/feed.jsonl.gz#7", "not_utf8", 812, "it"),
        ),
        cards={("enigma-es-disease", "4"): "../../cards/enigma-es-disease/4.html"},
        quarantine_uri="s3://hospital/quarantine/2026-06-09/quarantine.jsonl",
    )
    return render_morning_page(summary, {"es": "Spanish"})


def nights() -> str:
    return render_nights_page([NightRecord(figures=night(day)) for day in range(1, 10)])


def review() -> str:
    entities = [Entity(label, NOTE.index(s), NOTE.index(s) + len(s), s, 0.9) for label, s in MENTIONS]
    facts = {"language": "es", "night": "2026-06-09", "version": "9b2cf535f27731c9"}
    return render_review_page("drops/es/2026-06-09/n.txt", NOTE, entities, facts)


def card() -> str:
    return render_model_card(record())


def decision() -> str:
    found = decided(model(0.85, 200, seed=1), model(0.75, 200, seed=2), documents=200, slices=3)
    return render_decision_page(look_at(found), load_params().promotion, "../../cards/enigma-es-disease/7.html")


def week() -> str:
    shown = quality()
    return render_week_page("2026-W23", shown, tuple(chart_flags(shown, 7)))


PAGES = {"morning": morning, "nights": nights, "review": review, "card": card, "decision": decision, "week": week}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_without_a_word_on_the_console(browser: Browser, name: str) -> None:
    shot = browser.folder / "shot.png"
    _, console = browser.run(PAGES[name](), f"--screenshot={shot}", "--window-size=1280,1600")
    assert console == ""
    data = shot.read_bytes()
    assert struct.unpack(">II", data[16:24]) == (1280, 1600)
    assert len(data) > 40_000, "an empty page compresses better"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_fits_its_window(browser: Browser, name: str, width: int) -> None:
    seen = browser.probe(
        PAGES[name](),
        """return {
          asked: performance.getEntriesByType('resource').map(e => e.name),
          width: innerWidth, wide: document.documentElement.scrollWidth,
          outside: [...document.querySelectorAll('.card > *, .tile > *')]
            .filter(e => !e.closest('.scroll, .side') && e.scrollWidth > e.clientWidth + 1 && e.clientWidth)
            .map(e => e.outerHTML.slice(0, 80)),
          images: document.images.length }""",
        width,
    )
    assert seen == {"asked": [], "width": width, "wide": width, "outside": [], "images": 0}


def test_the_pages_about_models_draw_their_plots_and_lead_to_each_other(browser: Browser) -> None:
    script = """const size = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0 };
        const all = s => [...document.querySelectorAll(s)];
        return { svgs: all('svg').length, flat: all('svg').filter(e => !size(e)).length,
          links: all('a').map(a => a.getAttribute('href')),
          bars: all('.plot svg').map(s => [...s.querySelectorAll('rect')].map(r => +r.getAttribute('x'))),
          broken: all('code.short').filter(c => c.getClientRects().length > 1).length }"""
    seen = {name: browser.probe(PAGES[name](), script) for name in ("decision", "card", "week", "morning")}
    assert {name: (page["svgs"], page["flat"]) for name, page in seen.items() if name != "morning"} == {
        "decision": (2, 0), "card": (1, 0), "week": (2, 0)
    }  # fmt: skip
    (_, new), (_, old) = seen["decision"]["bars"]
    assert new > old
    assert "../../cards/enigma-es-disease/7.html" in seen["decision"]["links"]
    assert "../../cards/enigma-es-disease/4.html" in seen["morning"]["links"]
    assert seen["card"]["broken"] == 0


def test_the_morning_page_draws_every_plot_and_table(browser: Browser) -> None:
    seen = browser.probe(
        morning(),
        """const size = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0 };
        const all = s => [...document.querySelectorAll(s)];
        return {
          svgs: all('svg').length, flat: all('svg').filter(e => !size(e)).length,
          curves: all('.grid path.curve').length, short: all('path.curve').filter(e => e.getTotalLength() < 100).length,
          columns: all('figure svg rect[class]').filter(size).length,
          band: all('rect.band').filter(size).length,
          headings: all('h2').map(e => e.id),
          rows: Object.fromEntries(all('h2').map(
            h => [h.id, h.nextElementSibling.querySelectorAll('tbody tr').length])),
          headed: all('table').every(t => t.querySelectorAll('thead th[scope=col]').length > 1),
          named: all('svg[role=img], .bars').every(e => e.getAttribute('aria-label')),
          verdict: document.querySelector('.verdict').innerText,
          contrast: getComputedStyle(document.body).color != getComputedStyle(document.body).backgroundColor }""",
    )
    assert seen["flat"] == 0
    assert seen["svgs"] == 2 + 1 + 6 + 6 + 3 + 5  # F1, drift, trends, languages, scores, stages
    assert (seen["curves"], seen["short"]) == (1 + 1 + 1 + 1 + 3 + 3 + 1, 0)
    assert seen["columns"] > 3 * 15
    assert seen["band"] == 1 + 3
    assert seen["headings"] == [
        "flags", "quality", "drift", "review", "quarantine", "waiting", "deferred", "nights", "entities", "scores",
        "time", "models", "journal",
    ]  # fmt: skip
    assert (seen["rows"]["quarantine"], seen["rows"]["entities"], seen["rows"]["models"]) == (2, 6, 6)
    assert seen["headed"]
    assert seen["named"]
    assert "notes annotated" in seen["verdict"]
    assert seen["contrast"]


def test_the_plots_of_quality_and_drift_show_what_the_numbers_say(browser: Browser) -> None:
    seen = browser.probe(
        morning(),
        """const value = (svg, y) => { // of the axis at a height, from its first and last tick
          const grid = [...svg.querySelectorAll('.grid-line')].map(
            l => [+l.getAttribute('y1'), +l.nextElementSibling.textContent.replace(',', '')]);
          const [[y0, v0], [y1, v1]] = [grid[0], grid.at(-1)];
          return v0 + (v1 - v0) * (y - y0) / (y1 - y0) };
        const read = svg => ({
          values: [...svg.querySelectorAll('.dot')].map(d => value(svg, +d.getAttribute('cy'))),
          ends: [...svg.querySelectorAll('.whisker')].map(
            w => [value(svg, +w.getAttribute('y2')), value(svg, +w.getAttribute('y1'))]),
          limit: [...svg.querySelectorAll('.limit')].map(
            l => [value(svg, +l.getAttribute('y1')), l.nextElementSibling.textContent]),
          band: [...svg.querySelectorAll('.band')].map(b => [
            value(svg, +b.getAttribute('y') + +b.getAttribute('height')), value(svg, +b.getAttribute('y'))]) });
        const [weeks, control] = document.querySelectorAll('#quality ~ .two svg');
        const cells = [...document.querySelectorAll('#drift + .card td.odd')].map(c => c.innerText);
        return { weeks: read(weeks), control: read(control), drift: read(document.querySelector('.drifted svg')),
          state: document.querySelector('.state').innerText, cells,
          title: document.querySelector('.drifted h3').innerText }""",
    )
    shown, summary_chart = quality(), quality().charts["es"]
    assert seen["weeks"]["values"] == pytest.approx([g.estimate.f1 for g in shown.weeks], abs=0.005)
    assert [end for pair in seen["weeks"]["ends"] for end in pair] == pytest.approx(
        [end for g in shown.weeks for end in (g.estimate.low, g.estimate.high)], abs=0.005
    )
    assert seen["weeks"]["limit"] == [[pytest.approx(0.6, abs=0.005), "floor"]]
    drawn = [n.statistic for n in summary_chart.nights if n.usual is not None]
    assert seen["control"]["values"] == pytest.approx(drawn, abs=0.1)
    assert seen["control"]["limit"] == [[pytest.approx(summary_chart.limit, abs=0.1), "limit"]]
    assert seen["state"].startswith("alarm on 2026-0")
    params = load_params().monitor
    (test,) = [t for t in drift_of(night(9), [NightRecord(figures=night(d)) for d in range(1, 9)], params) if t.drifted]
    assert (test.language, test.measure) == ("es", "length")
    assert seen["title"] == "es: note length"
    assert seen["drift"]["values"][-1] == pytest.approx(test.value, rel=0.02)
    assert seen["drift"]["band"] == [pytest.approx([test.low, test.high], rel=0.02)]
    assert len(seen["cells"]) == 1


def test_a_first_night_has_no_trends(browser: Browser) -> None:
    seen = browser.probe(
        morning(first=True),
        """return [document.querySelectorAll('path.curve').length,
                   document.getElementById('nights').nextElementSibling.innerText]""",
    )
    assert seen[0] == 0
    assert "first night" in seen[1]


def test_the_reviewers_page_keeps_the_text_and_marks_the_mentions(browser: Browser) -> None:
    seen = browser.probe(
        review(),
        """const note = document.getElementById('note');
        const text = (i) => { // of the note, cut at the offsets of the mention's row
          const [a, b] = document.querySelectorAll('.side tbody tr')[i].cells[2].innerText.split('–').map(Number);
          return [...note.textContent].slice(a, b).join('') };
        return {
          text: note.textContent, space: getComputedStyle(note).whiteSpace,
          rows: [...document.querySelectorAll('.side tbody tr')].map((r, i) => [r.cells[0].innerText, text(i)]),
          letters: [...note.querySelectorAll('mark i')].map(e => getComputedStyle(e, '::before').content),
          scripts: note.querySelectorAll('b, script').length,
          isolated: [...note.querySelectorAll('.code')].map(e => getComputedStyle(e).unicodeBidi) }""",
    )
    assert seen["text"] == NOTE
    assert seen["space"].startswith("pre-wrap") or seen["space"] == "break-spaces"
    assert [shown for shown, _ in seen["rows"]] == [cut for _, cut in seen["rows"]]
    assert {shown for shown, _ in seen["rows"]} == {text for _, text in MENTIONS}
    assert seen["letters"] == ['"S"', '"S"', '"P"', '"D"', '"S"', '"P"']
    assert seen["scripts"] == 0
    assert seen["isolated"] == ["isolate"] * 4  # the byte order mark, two turns, one lone carriage return


def test_a_switch_takes_one_type_away_and_leaves_the_others(browser: Browser) -> None:
    seen = browser.probe(
        review(),
        """const state = () => ({
          tints: [...document.querySelectorAll('mark')].map(e => getComputedStyle(e).backgroundImage
            .replaceAll(/rgba?\\(0, 0, 0, 0\\)/g, '').match(/(rgb|color)\\(/g)?.length ?? 0),
          rows: [...document.querySelectorAll('.side tbody tr')].filter(e => e.offsetHeight).length,
          letters: [...document.querySelectorAll('mark i')]
            .filter(e => getComputedStyle(e).display != 'none').length });
        const before = state();
        const boxes = [...document.querySelectorAll('.switches input')];
        boxes[0].click();
        const after = state();
        return { labels: boxes.map(b => b.parentElement.innerText.trim()), before, after }""",
    )
    assert seen["labels"] == ["DISEASE 1", "PROCEDURE 2", "SYMPTOM 3"]
    assert (seen["before"]["rows"], seen["after"]["rows"]) == (6, 5)
    assert (seen["before"]["letters"], seen["after"]["letters"]) == (6, 5)
    # in the text: symptom, symptom, procedure, disease and symptom, disease, procedure; each type gives a stripe and a
    # tint, each of them a gradient of two colours
    assert seen["before"]["tints"] == [4, 4, 4, 8, 4, 4]
    assert seen["after"]["tints"] == [4, 4, 4, 4, 0, 4]
