"""Sentence boundaries: what ends a sentence, what does not, and that nothing is ever lost."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enigma_tasks.ner.text.invisible import without_invisible
from enigma_tasks.ner.text.sentences import pack_sentences, split_sentences


def split(text: str, language: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text, language)]


ONE_SENTENCE = [
    ("es", "Valorada por la Dra. Robles y el Sr. Pino."),
    ("es", "Tumor de 4 cm. de diámetro mayor."),
    ("es", "Recibe 2 g i.v. de ceftriaxona c/12 h. durante una semana."),
    ("es", "Glucemia 1.25 g/l y creatinina 0,9 mg/dl."),
    ("es", "Crece S. Aureus en el hemocultivo."),
    ("es", "Operado según técnica de J. Marín con éxito."),
    ("es", "Alta el 4. 11. 2020 con buen estado."),
    ("es", "Peso aprox. 80 kg y talla 1.70 m."),
    ("es", "Lesión ovalada (Fig. 3. Corte sagital. Detalle) sin realce."),
    ("es", "Fiebre (?) Nocturna desde ayer."),
    ("es", "Ver pág. 12 y tel. 900 del informe."),
    ("es", "Paciente con dolor de cabeza y\nfiebre alta."),
    ("es", "Antecedente de síndrome de\nDown conocido."),
    ("es", "Dolor, tos,\nHTA y diabetes."),
    ("es", "Ingresa tras una caída desde su propia altura en el domicilio a las\n24 horas de evolución."),
    ("es", "Recibió 500 mg.\nde amoxicilina."),
    ("es", "Atendido por el Dr.\nRobles en urgencias."),
    ("cs", "Přijata MUDr. Zelenkovou, odesláno prof. Dubem."),
    ("cs", "Užívá léky, např. Anopyrin, tzv. Prevenci a tj. Statin."),
    ("cs", "Prestarium 5 mg tbl. p.o. 1x denně."),
    ("cs", "Diabetes II. Typu od roku 1999."),
    ("cs", "Kontrola 12. 3. 2021 ráno."),
    ("cs", "Hospitalizován na 2. Interní klinice."),
    ("cs", "Hb 12,5 g/l a CRP 3.5 mg/l."),
    ("cs", "Narozen r. 1950, bytem ul. Dlouhá."),
    ("en", "Seen by Dr. Hill, Mrs. Oak and St. Mary staff, e.g. Nurse Fir."),
    ("en", "Grew E. Coli at 3.5 h vs. Controls."),
    ("it", "Visitato dal dott. Neri e dal prof. Verdi, cfr. Allegato."),
    ("nl", "Gezien door drs. Berk, d.w.z. Vandaag m.b.v. Echo."),
    ("ro", "Consultat de dr. Brad, conf. Stejar și str. Lungă nr. 3."),
    ("sv", "Träffade dr. Lind, bl.a. Angående t.ex. Astma."),
]


@pytest.mark.parametrize(("language", "text"), ONE_SENTENCE)
def test_a_stop_inside_a_sentence_does_not_end_it(language: str, text: str) -> None:
    assert split(text, language) == [text]


SEVERAL = [
    ("es", "Niega tos.| Refiere fiebre."),
    ("es", "Mide 4 cm.| Se extirpa."),
    ("es", "Tratado con antibiótico i.v.| La fiebre cede."),
    ("es", "Hepatitis C.| La paciente mejora.| Vitamina K.| Pendiente."),
    ("es", "Temperatura de 38º C.| Exploración anodina."),
    ("es", "Descenso del ST.| Un día después mejora."),
    ("es", "¿Tos?| No.| ¿Fiebre?| Sí!| Náuseas…| Alta."),
    ("es", "Dijo: «me duele».| Luego calló (y se fue).| Volvió."),
    ("es", "Operado en 2007.| 3 meses después recae."),
    ("es", "Glucosa normal.| pH 7,31."),
    ("es", "Creatinina 1,3.| Urea 40."),
    ("es", "ANTECEDENTES|\nHTA y DM tipo 2|\nTRATAMIENTO:|\nenalapril"),
    ("es", "Diagnósticos:|\n1. Neumonía basal|\n2. Anemia|\n- tos seca|\na) fiebre|\n• disnea"),
    ("es", "Sin cambios|\n\ny de alta"),
    ("es", "Sin fiebre.|\r\nSin tos.|\r\n\r\nFin"),
    ("es", "Presentaba tos.|\ny refiere fiebre"),
    ("es", "Recibió 500 mg.|\nDe alta."),
    ("cs", "Bez teploty.| Pacient propuštěn.| Kontrola za 5 dní."),
    ("cs", "Užívá Warfarin atd.| Pacient spolupracuje."),
    ("cs", "Diabetes II.| Pacient dodržuje dietu."),
    ("cs", "Skóre 5.| Pacientka bez bolesti."),
    ("cs", "EKG: norm.| Sinusový rytmus 70/min."),
    ("cs", "Hepatitida typu C.| Játra nezvětšena."),
    ("en", "Moderate MR.| Treated with aspirin q.d.| No pain."),
    ("en", "PR 120 ms.| Killip I.| Stable."),
    ("it", "Dolore da 3 gg.| Nega febbre."),
    ("nl", "Geen koorts.| Paracetamol e.d.| De patiënt herstelt."),
    ("ro", "Fără febră.| Tratament i.v.| S-a externat."),
    ("sv", "Ingen feber .| Hon mår bra .| Astma osv.| Hon äter."),
    ("xx", "Nulla febris.| Tussis 3 cm.| Bene."),
]


@pytest.mark.parametrize(("language", "marked"), SEVERAL)
def test_sentences_end_where_they_end(language: str, marked: str) -> None:
    assert split(marked.replace("|", ""), language) == [part.strip() for part in marked.split("|")]


def test_a_numbered_line_keeps_its_number() -> None:
    assert split("1. Asma\n2. Tos", "es") == ["1. Asma", "2. Tos"]


def test_a_bracket_that_is_never_closed_hides_no_boundary() -> None:
    assert split("Dolor (leve. Tos seca. Fiebre.", "es") == ["Dolor (leve.", "Tos seca.", "Fiebre."]


def test_empty_and_blank_texts_have_no_sentence() -> None:
    assert split("", "es") == split(" \n\t\u00a0\r\n", "cs") == []


PIECES = st.sampled_from(
    [
        *"aZé5.,;:!?…()[]\"'»- \n\r\t\u00a0\u2028😀",
        "\r\n",
        "\n\n",
        "Dr.",
        "p.o.",
        " El ",
        " pacient",
        "3. 4. ",
        "- ",
        "1. ",
    ]
)


@settings(max_examples=400)
@example(text="\xad", language="cs")
@given(
    text=st.lists(PIECES | st.characters(codec="utf-8"), max_size=60).map("".join),
    language=st.sampled_from(["cs", "es", "en", "it", "nl", "ro", "sv", "xx"]),
)
def test_nothing_is_lost_and_spans_are_trimmed_ordered_and_apart(text: str, language: str) -> None:
    spans = split_sentences(text, language)
    position = 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        assert not without_invisible(text[position:start]).strip()
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not without_invisible(text[position:]).strip()


@pytest.mark.parametrize("unit", [".", ". ", "(", "(.", "\n", " \n", "a.\n", "!)", "1. ", "a", " ", "[(", ".) A"])
def test_a_long_run_of_anything_is_split_in_linear_time(unit: str) -> None:
    # Quadratic work on 400,000 characters would not end within the suite's timeout.
    text = "x" + unit * (400_000 // len(unit)) + "y"
    spans = split_sentences(text, "es")
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)


def test_sentences_are_packed_greedily_up_to_the_budget() -> None:
    sentences = [(0, 9), (10, 19), (20, 29), (30, 60), (61, 70), (71, 75)]
    assert pack_sentences(sentences, [4, 4, 3, 20, 8, 2], 10) == [(0, 19), (20, 29), (30, 60), (61, 75)]
    assert pack_sentences(sentences, [1] * 6, 6) == [(0, 75)]
    assert pack_sentences([], [], 10) == []


def test_packing_needs_one_length_per_sentence() -> None:
    with pytest.raises(ValueError, match="argument"):
        pack_sentences([(0, 1)], [1, 2], 10)


@given(lengths=st.lists(st.integers(0, 30), max_size=30), budget=st.integers(1, 40))
def test_chunks_keep_every_sentence_whole_within_the_budget_and_cannot_be_joined(
    lengths: list[int], budget: int
) -> None:
    sentences = [(10 * i, 10 * i + 9) for i in range(len(lengths))]
    chunks = pack_sentences(sentences, lengths, budget)
    members = [[i for i, (s, e) in enumerate(sentences) if a <= s and e <= b] for a, b in chunks]
    assert [i for m in members for i in m] == list(range(len(lengths)))
    totals = [sum(lengths[i] for i in m) for m in members]
    assert all(t <= budget or len(m) == 1 for t, m in zip(totals, members, strict=True))
    assert all(t + lengths[m[0]] > budget for t, m in zip(totals, members[1:], strict=False))
