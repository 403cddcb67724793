"""Seeded changes of a file: of its bytes, its lines and cells, its JSON or YAML, its markup, and of what it packs."""

from __future__ import annotations

import copy
import gzip
import io
import json
import re
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Mutate = Callable[[random.Random, bytes], bytes]

DEPTHS = (60, 500, 900, 960, 985, 995, 5000)
"""Of nested lists: harmless, near the limit of a parser or of what works on its result, and beyond."""
_DEEP = "@deep-{}@"


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


NUMBERS = (0, -1, 1, 7, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 0.5, 1e308, *map(float, ("inf", "-inf", "nan")))
STRINGS = (
    *("", " ", "\0", "\n", "\r\n", "\t", "\ud800", "\udc00\ud83d", "\U0001f600", "e\u0301", "\u202e", "\ufeff"),
    *(
        "../../x",
        "/etc/passwd",
        "a/b",
        "s3://bucket/x.txt",
        "x" * 300,
        "9" * 5000,
        "\u0663\u0664",
        "1e999",
        "nan",
        "\u2028",
    ),
    *("[]", "{}", '[[0, 4, "DISEASE"]]', "[[0, 4, 'DISEASE'", "start=6 end=10", "(" * 300, "<p>a</p>", "<!DOCTYPE x>"),
    *(f"start={'9' * 5000} end={'9' * 5001}", f"DISEASE 6 {'9' * 5000}", "&#0;", "DISEASE", "DROGA", "2026-13-45"),
    *("%s%n{0}", "=1+1", "T1\tDISEASE 0 3\tTos", "2026-01-01T00:00:00+99:99", "0001-01-01T00:00:00+23:59", "None"),
)
JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    *NUMBERS,
    *STRINGS,
    [],
    {},
    [[]],
    [None],
    [[], {}],
    {"": None},
    {"id": []},
    [1, 2, 3],
)
TOKENS = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\x80", b"\xf0\x9f\x98"),
    *(b"NaN", b"-Infinity", b"1e400", b"9" * 5000, b"null", b"true", b"{}", b"[]", b'""', b"{", b"]", b'"', b"'"),
    *(b"\n", b"\r", b"\r\n", b"\t", b";", b",", b" ", b"#", b"T1", b"<", b">", b"&", b"&#0;", b"<!DOCTYPE x>", b"]]>"),
    *(b"%", b"@", b"*", b"&a ", b"!!python/object:os.system ", b"PK\x03\x04", b"\x1f\x8b", b"\xe2\x80\xa8", b"\\"),
    *(b"[" * 900, b"[" * 5000, b"<a>" * 500, b"(" * 200, "\U0001f600".encode(), "\u0301".encode()),
)


def mutated(rng: random.Random, name: str, data: bytes) -> bytes:
    """A file after one to three changes, mostly of what its name says that it holds."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutate = changed_bytes if rng.random() < 0.3 else _of_name(name)
        data = mutate(rng, data)
    return data


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes flipped, removed, repeated, moved, inserted; or cut off."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 1, 1, 2, 8, 64, len(data))))
    kept, rest = data[:start], data[end:]
    at = rng.randrange(len(data)) if data else 0
    flipped = bytes(byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1])
    ways = (
        data[:at] + flipped + data[at + 1 :],
        kept,
        kept + rest,
        data[:end] + data[start:],
        kept + rng.randbytes(rng.choice((1, 2, 16))) + rest,
        b"" if rng.random() < 0.05 else rest + data[:end],
        kept + rng.choice(TOKENS) + data[rng.choice((start, end)) :],
    )
    return rng.choice(ways)


def changed_cells(rng: random.Random, data: bytes) -> bytes:
    """A line, or a cell of one, replaced, removed, repeated or moved."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        lines[at:at] = [rng.choice(lines)]
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        lines[at : at + 2] = [b"".join(lines[at : at + 2])]
    else:
        cells = re.split(rb"([\t ,;])", lines[at])
        own = rng.randrange(len(cells))
        cells[own] = b"" if kind == 3 else _junk(rng, text=True).encode("utf-8", "surrogatepass")
        lines[at] = b"".join(cells)
    return b"\n".join(lines)


def changed_tree(rng: random.Random, tree: Any) -> Any:
    """A value of another type, out of range, missing, repeated, exchanged with another, or under another key."""
    tree = copy.deepcopy(tree)
    places = _places(tree)
    if not places:
        return _junk(rng)
    holder, key = rng.choice(places)
    other, other_key = rng.choice(places)
    kind = rng.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = [holder[key]] if rng.random() < 0.5 else {"value": holder[key]}
    elif kind == 2 and isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(holder[key])] * rng.choice((1, 1, 30))
    elif kind == 3 and isinstance(holder, dict):
        holder[_junk(rng, text=True) if rng.random() < 0.5 else str(other_key)] = holder.pop(key)
    elif kind == 4 and type(holder[key]) is type(other[other_key]):
        holder[key], other[other_key] = copy.deepcopy(other[other_key]), copy.deepcopy(holder[key])
    elif kind == 5 and isinstance(holder[key], str):
        holder[key] = _spliced(rng, holder[key])
    else:
        holder[key] = _junk(rng)
    return tree


def changed_json(rng: random.Random, data: bytes) -> bytes:
    """One value, or one of several lines, as `changed_tree`; or a key twice."""
    lines = [data]
    try:
        tree = _parsed(data)
    except ValueError:
        lines = data.split(b"\n")
        own = rng.randrange(len(lines))
        try:
            tree = _parsed(lines[own])
        except ValueError:
            return changed_bytes(rng, data)
        lines[own] = _written(rng, changed_tree(rng, tree))
        return b"\n".join(lines)
    return _written(rng, changed_tree(rng, tree))


def changed_yaml(rng: random.Random, data: bytes) -> bytes:
    """The same for YAML."""
    try:
        tree = changed_tree(rng, _parsed(data, yaml.safe_load))
        return yaml.safe_dump(tree, allow_unicode=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, ValueError):
        return changed_bytes(rng, data)


def changed_markup(rng: random.Random, data: bytes) -> bytes:
    """An attribute of another value or name; an element removed or repeated; a text between elements."""
    found = list(re.finditer(rb'([\w:]+)="([^"]*)"|<[^<>]+>|>([^<>]*)<', data))
    if not found:
        return changed_bytes(rng, data)
    at = rng.choice(found)
    if at[1] is None and at[3] is None:
        part = at[0] * rng.choice((0, 2))
    else:
        junk = _junk(rng, text=True).encode("utf-8", "surrogatepass")
        junk = rng.choice((junk, rng.choice(found)[2] or b"", b"1 " * rng.choice((1, 50)), b"999"))
        part = b'%s="%s"' % (at[1], junk) if at[1] else b">%s<" % junk
        if at[1] and rng.random() < 0.2:
            part = rng.choice((b"", b"%s %s" % (at[0], at[0]), b'%sx="%s"' % (at[1], at[2])))
    return data[: at.start()] + part + data[at.end() :]


def changed_zip(rng: random.Random, data: bytes) -> bytes:
    """A file in the zip changed, renamed, left out or packed otherwise."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:  # noqa: BLE001 - an earlier change damaged it
        return changed_bytes(rng, data)
    if not files:
        return changed_bytes(rng, data)
    at = rng.randrange(len(files))
    name, content = files[at]
    kind = rng.randrange(8)
    if kind == 0:
        del files[at]
    elif kind == 1:
        names = (
            "../x.json",
            "/x.json",
            "",
            ".",
            "a//b.json",
            "x\\y.json",
            "x" * 300 + ".json",
            "x.json/",
            rng.choice(files)[0],
        )
        files[at] = (
            rng.choice((*names, "x.txt", "x.zip", "CURATION_USER.xmi", "\U0001f600.json", "TypeSystem.xml")),
            content,
        )
    elif kind == 2:
        files[at] = (name, data)
    elif kind == 3:
        files.append((name, content))
    else:
        files[at] = (name, mutated(rng, name, content))
    packed = io.BytesIO()
    methods = (zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(packed, "w", rng.choice(methods)) as archive:
            for own, held in files:
                archive.writestr(own or zipfile.ZipInfo(own), held)
    return packed.getvalue()


def changed_gzip(inner: Mutate) -> Mutate:
    """What the stream unpacks to, changed."""

    def change(rng: random.Random, data: bytes) -> bytes:
        try:
            content = gzip.decompress(data)
        except Exception:  # noqa: BLE001 - an earlier change damaged it
            return changed_bytes(rng, data)
        return gzip.compress(inner(rng, content), mtime=0)

    return change


def changed_weights(rng: random.Random, data: bytes) -> bytes:
    """The header of a safetensors file, which is JSON after its length."""
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = changed_json(rng, data[8 : 8 + length])
    except (struct.error, ValueError):
        return changed_bytes(rng, data)
    claimed = len(header) if rng.random() < 0.8 else rng.choice((0, 1, 2**40, 2**63))
    return struct.pack("<Q", claimed) + header + data[8 + length :]


def changed_table(rng: random.Random, data: bytes) -> bytes:
    """A column of a parquet file with a value of another type, without one, missing, or under another name."""
    try:
        table = pq.read_table(io.BytesIO(data))
        at = rng.randrange(table.num_columns)
        name, column = table.column_names[at], table.column(at).to_pylist()
        kind = rng.randrange(5)
        if kind == 0:
            table = table.drop_columns([name])
        elif kind == 1:
            table = table.rename_columns([_junk(rng, text=True) if n == name else n for n in table.column_names])
        elif kind == 2:
            table = pa.concat_tables([table, table.slice(rng.randrange(table.num_rows + 1))])
        elif column:
            column[rng.randrange(len(column))] = _junk(rng)
            own = table.schema.field(at).type
            kept = own if kind == 3 and not pa.types.is_map(own) else None  # Arrow aborts on a map without a key
            table = table.set_column(at, name, pa.array(column, kept))
        written = io.BytesIO()
        pq.write_table(table, written)
    except Exception:  # noqa: BLE001 - no table can hold that
        return changed_bytes(rng, data)
    return written.getvalue()


def _of_name(name: str) -> Mutate:
    return next((mutate for suffix, mutate in BY_SUFFIX.items() if name.lower().endswith(suffix)), changed_bytes)


BY_SUFFIX: dict[str, Mutate] = {
    ".jsonl.gz": changed_gzip(changed_json),
    **dict.fromkeys((".json", ".jsonl"), changed_json),
    **dict.fromkeys((".ann", ".csv", ".tsv"), changed_cells),
    **dict.fromkeys((".xmi", ".xml"), changed_markup),
    **dict.fromkeys((".yaml", ".yml"), changed_yaml),
    ".zip": changed_zip,
    ".safetensors": changed_weights,
    ".parquet": changed_table,
}


def _junk(rng: random.Random, *, text: bool = False) -> Any:
    if text:
        return rng.choice(STRINGS)
    return _DEEP.format(rng.choice(DEPTHS)) if rng.random() < 0.06 else copy.deepcopy(rng.choice(JUNK))


def _spliced(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(STRINGS) + text[rng.choice((at, at + 1, len(text))) :]


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key or index) in a tree."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        found += [(value, key) for key in keys]
        waiting += [value[key] for key in keys]
    return found


def _parsed(data: bytes, parse: Callable[[bytes], Any] = json.loads) -> Any:
    """JSON or YAML. Raises ValueError, also for what is nested deeply: whether that is parsed depends on the stack."""
    if data.count(b"[[") + data.count(b"{{") > min(DEPTHS) // 2:
        raise ValueError
    return parse(data)


def _written(rng: random.Random, tree: Any) -> bytes:
    """As JSON, where a value may be nested deeply or a key be there twice."""
    try:
        text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    except ValueError:  # an integer of too many digits
        text = "1" * 5000
    text = re.sub(r'"@deep-(\d+)@"', lambda found: _nested(int(found[1])), text)
    if rng.random() < 0.1 and (braces := [m.end() for m in re.finditer(r'\{(?=")', text)]):
        at = rng.choice(braces)
        key = re.match(r'"[^"]*"', text[at:])
        text = f"{text[:at]}{key[0] if key else '0'}: {rng.choice(('null', '7', '[]', '{}'))}, {text[at:]}"
    return text.encode("utf-8", "surrogatepass")
