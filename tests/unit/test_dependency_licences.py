"""The list of the dependencies' licences is the one that they declare, and what is not permissive has a reason."""

from __future__ import annotations

import re

from infra.licences import TABLE, UNKNOWN, licence_of, table

NOT_PERMISSIVE = {
    "grandalf": "GPL 2: draws the graph of `dvc dag`, which Enigma does not call",
    "pygit2": "GPL 2 with an exception for linking",
    "asyncssh": "or EPL 2.0",
    "dulwich": "or Apache 2.0",
    "psycopg2-binary": "LGPL 3 with an exception: Airflow's driver of PostgreSQL, imported unchanged",
    "text-unidecode": "or Artistic License",
    "huey": "MIT, in its file LICENSE only",
    "skops": "MIT, in its file LICENSE only",
}
"""Package -> why it may be there; a new one has to be looked at by a person."""


def test_the_list_is_what_the_installed_packages_declare() -> None:
    listed = set(TABLE.read_text().splitlines())
    installed = set(table().splitlines())
    missing = {row for row in listed - installed if licence_of(row.split("\t")[0]) is not None}
    assert (installed - listed, missing) == (set(), set()), "run `make lock`"


def test_what_is_not_permissive_or_not_declared_is_known() -> None:
    rows = [row.split("\t") for row in TABLE.read_text().splitlines()[1:]]
    found = {name for name, licence, _ in rows if re.search(r"\bA?GPL|General Public", licence) or licence == UNKNOWN}
    assert found == NOT_PERMISSIVE.keys()
