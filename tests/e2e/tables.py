"""The published tables of a stack, in a form in which two nights over the same notes can be compared."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable

from infra.local.stack import BUCKET

if TYPE_CHECKING:
    from infra.local.user import User


def rows(user: User, table: str) -> list[dict[str, Any]]:
    places = user.stack.variables
    options = {
        "aws_endpoint": places["AWS_ENDPOINT_URL"],
        "aws_access_key_id": places["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": places["AWS_SECRET_ACCESS_KEY"],
        "aws_region": places["AWS_DEFAULT_REGION"],
        "aws_allow_http": "true",
    }
    delta = DeltaTable(f"s3://{BUCKET}/tables/{table}", storage_options=options)
    return list(delta.to_pyarrow_table().to_pylist())


def results_of(user: User, folder: str) -> tuple[Counter[str], Counter[str]]:
    """Notes and spans of the drops below a folder name, without batch, time and that name."""

    def plain(row: dict[str, Any]) -> str:
        kept = {k: v for k, v in row.items() if k not in {"batch_id", "planned_at", "nlp_date"}}
        return json.dumps(kept, sort_keys=True, default=str).replace(f"/{folder}/", "/*/")

    def below(table: str) -> Counter[str]:
        return Counter(plain(r) for r in rows(user, table) if f"/{folder}/" in r["key"])

    return below("notes"), below("spans")
