"""What is plain text, what is the source of something else, and what was garbled."""

from __future__ import annotations

import base64
import json
import quopri
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.errors import DataError
from enigma_tasks.notes.garbled import garbled_characters
from enigma_tasks.notes.plain_text import is_markup, is_other_kind
from enigma_tasks.notes.references import Rule, text_of_bytes
from enigma_tasks.synthetic.generator import notes

NOTE = "Paciente de 50 años con neumonía. Niega disnea; TA < 120/80 mmHg.\nAlta con amoxicilina.\n"
HTML = "<p>Paciente con <b>neumonía</b>.</p>\n"
CDA = '<ClinicalDocument xmlns="urn:hl7-org:v3"><component><text>Neumon&#237;a.</text></component></ClinicalDocument>'

OTHER = {
    "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
    "docx": b"PK\x03\x04" + bytes(20),
    "doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(20),
    "pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
    "pdf after a blank line": b"\r\n%PDF-1.4\n1 0 obj",
    "rtf": rb"{\rtf1\ansi\ansicpg1252 Neumon\'eda\par}",
    "rtf with a mark": b"\xef\xbb\xbf" + rb"{\rtf1\ansi Asma\par}",
    "utf-16": NOTE.encode("utf-16"),
    "utf-16-le": NOTE.encode("utf-16-le"),
    "utf-16-be": NOTE.encode("utf-16-be"),
    "utf-16-le, short": "Tos".encode("utf-16-le"),
    "utf-16-le, Czech": "Pacientka má žlutou kůži, příčina ještě zůstává nejasná.".encode("utf-16-le"),
    "utf-32": NOTE.encode("utf-32"),
    "utf-32-be": NOTE.encode("utf-32-be"),
    "xml": b'<?xml version="1.0"?>' + CDA.encode(),
    "cda without a declaration": CDA.encode(),
    "xml without a namespace": "<note id='1'>\n<body>Neumonía</body>\n</note>\n".encode(),
    "xml with a comment": ("<!-- exported -->\n" + CDA).encode(),
    "html": f"<!DOCTYPE html>\n<html><body>{HTML}</body></html>".encode(),
    "html, upper case": f"<HTML><BODY>{HTML}</BODY></HTML>".encode(),
    "html below a line": f"Informe de alta\n<html>\n<body>{HTML}".encode(),
    "html part": HTML.encode(),
    "html part, styled": '<div class="nota" style="x"><span>Neumonía</span></div>'.encode(),
    "html in one inline tag": "<span lang='es'>Paciente con <b>neumonía</b>.</span>\n".encode(),
    "html in one tag within itself": "<span>Paciente con <span>neumonía</span>.</span>".encode(),
    "html from Word": "<p class=MsoNormal><span lang=ES>Neumonía</span></p>".encode(),
    "line breaks as tags": "Paciente con neumonía.<br>Niega tos.<br/>Alta.<br />Control.<BR>".encode(),
    "character references": b"Paciente con neumon&iacute;a y f&iacute;stula; ri&ntilde;&oacute;n &#237;ntegro.",
    "no-break spaces": b"Paciente&nbsp;con tos.&nbsp;&nbsp;Niega fiebre;&nbsp;alta.",
    "escaped html": "&lt;p&gt;Neumonía&lt;/p&gt;&lt;br/&gt;&lt;div class='x'&gt;Asma&lt;/div&gt;".encode(),
    "json": json.dumps({"resourceType": "DocumentReference", "text": NOTE}, indent=1).encode(),
    "json array": json.dumps([{"id": 1, "text": NOTE}]).encode(),
    "json, cut off": json.dumps({"id": 1, "text": NOTE})[:40].encode(),
    "json array, cut off": json.dumps([{"id": 1, "text": NOTE}])[:40].encode(),
    "cda, cut off": "<ClinicalDocument><text>Neumonía".encode(),
    "cda with a prefix, cut off": "<cda:ClinicalDocument>\n <cda:text>Neumonía".encode(),
    "xml in lines, cut off": "<nota>\n  <id>1</id>\n  <texto>Neumonía".encode(),
    "xml of three levels, cut off": "<Informe><Paciente><Nombre>X</Nombre></Paciente><Texto>Neumonía".encode(),
    "uuencode": b"begin 644 a.txt\nM4&%C:65N=&4\n`\nend\n",
    "csv in Italian": b"identificativo;testo\n1;asma\n",
    "csv with names of several words": b"id_paciente,fecha,informe de alta\n1,2024,tos\n",
    "base64": base64.b64encode(NOTE.encode()),
    "base64 in lines": base64.encodebytes(NOTE.encode() * 3),
    "base64 as a data url": b"data:text/plain;base64," + base64.b64encode(NOTE.encode()),
    "hexadecimal": NOTE.encode().hex().encode(),
    "quoted-printable": quopri.encodestring((NOTE * 4).encode()),
    "percent-encoded": quote(NOTE * 4).encode(),
    "escaped as JSON": json.dumps(NOTE * 4)[1:-1].encode(),
    "csv of notes": 'note_id,note_text\n1,"Neumonía"\n2,"Tos, fiebre"\n'.encode(),
    "csv of notes, semicolons": '"NHC";"fecha";"Informe"\r\n"1";"2024-01-01";"Neumonía\r\ny tos"\r\n'.encode(),
    "tsv of notes": "patient_id\tdate\ttext\n1\t2024\tNeumonía\n".encode(),
    "csv, header only": b"id,text\n",
    "hl7 without its head": b"OBX|1|TX|NOTE||Neumonia\rOBX|2|TX|NOTE||Tos\r",
    "edifact": b"UNA:+.? 'UNB+UNOA:1+LAB+HOSP'FTX+AAI+++Longontsteking'",
    "vcard": b"BEGIN:VCARD\nFN:Ejemplo\n",
    "mail without a version": b"Content-Type: text/plain; charset=utf-8\n\nNeumonia",
    "json lines": (json.dumps({"id": 1, "text": NOTE}) + "\n").encode() * 2,
    "hl7": b"MSH|^~\\&|LAB|HOSP|||20240101||ORU^R01|1|P|2.5\rOBX|1|TX|||Neumonia\r",
    "mail": b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n",
    "tar": b"note.txt".ljust(257, b"\x00") + b"ustar  \x00" + bytes(200),
}


@pytest.mark.parametrize("data", OTHER.values(), ids=OTHER)
def test_another_kind_of_file_is_told(data: bytes) -> None:
    with pytest.raises(DataError) as caught:
        text_of_bytes("key", data, 10_000)
    assert (caught.value.rule, caught.value.offset) == (Rule.NOT_PLAIN_TEXT, None)


PLAIN = {
    "note": NOTE,
    "byte order mark": "\ufeff" + NOTE,
    "comparison first": "<5 mg/dl de PCR. p<0.05 y Na >140.",
    "a tag quoted": "Se indica <b>reposo</b> &amp; dieta. Sin otra neumonía, ni asma, ni fiebre ni tos persistente.",
    "placeholders": "<PERSON> de 50 años, visto por <DOCTOR> en <HOSPITAL>, refiere tos.",
    "placeholders with ends": "<NOMBRE>Ana</NOMBRE> de 50 años refiere tos.",
    "placeholders with ends at both ends": "<NOMBRE>Ana</NOMBRE> refiere tos. Firmado: <NOMBRE>Eva</NOMBRE>\n",
    "placeholders of two kinds": "<NOMBRE>Ana</NOMBRE> <EDAD>50</EDAD> refiere tos. <NOMBRE>Eva</NOMBRE>",
    "a heading in bold": "<b>Dx</b>: asma. El paciente tiene asma grave y fiebre alta.",
    "two headings in bold": "<b>Dx</b>: asma.\n<b>Tto</b>: reposo",
    "a heading and an end in bold": "<b>Dx</b>: asma.\n<b>Alta</b>",
    "de-identified": "[**Name**] was seen on [**2101-1-1**]. <<REDACTED>>",
    "brackets": "[x] fiebre\n[ ] tos\n{observaciones} ninguna",
    "list": "[1]",
    "arrows": "<-- ver informe previo --> tos",
    "placeholder s": "<s> tos",
    "escaped comparisons": "PCR &lt;5, Na &gt;140; K &lt;4, Ca &lt;8, &quot;tos&quot; &amp; fiebre",
    "ampersands": "A&E: R&D; tos & fiebre; B&W; P&L; Q&A;",
    "a long note with few breaks": NOTE * 60 + "<br><br><br><br>",
    "field marks of Word": "Paciente\x07con neumonía\x0b\x13 PAGE \x14 1\x15",
    "private use": "\uf0b7 Neumonía\n\uf0a7 Asma",
    "a table of values": "fecha,peso,talla\n2024-01-01,70,1.70\n",
    "a header of ids and texts in words": "id, texto y fecha del informe\nPaciente con tos, fiebre y asma.",
    "a separator first": "=" * 80 + "\nPaciente con tos.\n" + "-" * 80,
    "one long word": "Electroencefalografista-otorrinolaringologo: tos.",
    "an identifier alone": "a3f5b2c4d6e8f0a1b2c3d4e5f6a7b8c9d0e1f2a3 tos",
    "pipes": "Hb|Ht|VCM\n12|36|90",
    "a placeholder with a colon": "<NOMBRE:Ana> <EDAD:50> refiere tos.",
    "placeholders first": "<Observation> tos <Bundle> fiebre",
    "placeholders in lines": "<NOMBRE>Ana</NOMBRE>\n<EDAD>50</EDAD>\nRefiere tos.",
    "a section mark before a placeholder": "<INFORME>\n<NOMBRE>Ana</NOMBRE> refiere tos.\n<FIN>",
    "words joined by hyphens": "Neumonia-basal-derecha-con-derrame-pleural-y-fiebre",
    "braces with a colon": "{tos}: fiebre",
    "percentages": "SatO2 95%C, 90%A, 80%B; =C3=",
    "a dashed head": "-----BEGIN REPORT-----\nPaciente con tos.\n-----END REPORT-----",
    "mime inside": "El MIME-Version: no importa.",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_plain_text_stays_plain_text(text: str) -> None:
    assert text_of_bytes("key", text.encode(), 10_000) == text


def test_stray_zero_bytes_keep_their_own_rule() -> None:
    with pytest.raises(DataError) as caught:
        text_of_bytes("key", b"Paciente\x00con tos\x00", 100)
    assert (caught.value.rule, caught.value.offset) == (Rule.NUL_BYTE, 8)


def test_sample_notes_of_every_language_are_plain_and_not_garbled() -> None:
    for document in notes(70, ["cs", "en", "es", "it", "nl", "ro", "sv"], 5):
        assert not is_markup(document.text)
        assert garbled_characters(document.text) == 0


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp1250", "cp437", "cp850", "mac_roman"])
@pytest.mark.parametrize("language", ["cs", "es", "it", "nl", "ro", "sv"])
def test_text_read_in_another_encoding_is_seen_to_be_garbled(language: str, encoding: str) -> None:
    text = " ".join(d.text for d in notes(3, [language], 5))
    twice = text.encode().decode(encoding, "replace")
    accented = sum(not c.isascii() for c in text)
    assert garbled_characters(twice) >= 0.9 * accented
    assert garbled_characters(text.encode("latin-1", "replace").decode("utf-8", "replace")) >= 0.5 * accented or (
        language in {"cs", "ro"}
    )


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd_to_be_judged(data: bytes) -> None:
    is_other_kind(data)
    is_markup(data.decode("latin-1"))


def test_markup_is_told_in_linear_time() -> None:
    for piece in ("<p ", "<", "<p a=", '<p a="', "<!--", "&#1", "<a b ", "[{", "{\\"):
        is_markup(piece * 50_000)
