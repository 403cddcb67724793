"""Errors of MLflow and its libraries -> ServiceError, without their messages, which may contain a password."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from enigma_tasks.errors import EnigmaError, ServiceError
from enigma_tasks.patience import NO_ANSWER
from enigma_tasks.workfolder import is_disk_error

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN = {"mlflow", "requests", "urllib3", "boto3", "botocore", "s3transfer", "sqlalchemy"}
SILENT = {"ConnectionError", "ConnectionRefusedError", "ConnectTimeout", "EndpointConnectionError", "ReadTimeout"}
SILENT_CODES = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"}


@contextmanager
def typed(operation: str) -> Iterator[None]:
    """Turn errors of MLflow and its libraries into ServiceError, without the message, which may contain a password."""
    try:
        yield
    except Exception as error:
        origins = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        if isinstance(error, EnigmaError) or not (origins & FOREIGN or isinstance(error, OSError)):
            raise
        if is_disk_error(error):  # the temporary folder names itself
            raise
        chain = list(_chain(error))
        word = str(getattr(error, "error_code", type(error).__name__))
        if word in SILENT_CODES or any(type(e).__name__ in SILENT for e in chain):
            word = NO_ANSWER
        raise ServiceError(f"mlflow: {operation}: {word}") from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
