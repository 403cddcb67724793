"""Gold is pushed by DVC to a Ceph gateway and pulled from there: a test of `enigma ingest` against moto's server."""

from __future__ import annotations

import pytest

from tests.integration.test_ingest import (  # noqa: F401
    hospital,
    test_sound_documents_become_a_version_bad_ones_go_to_quarantine_and_the_same_again_changes_nothing,
)

pytestmark = [pytest.mark.ceph, pytest.mark.timeout(1800)]
