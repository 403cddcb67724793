"""The code of every registered version (MLflow, models from code): texts -> spans; nothing is pickled.

MLflow copies this file beside the artifacts and runs it on loading; the package must be installed there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from enigma_tasks.config import load_settings, quiet_third_parties

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.pyfunc import PythonModelContext

BATCH_TOKENS = 4096
"""Sub-words per forward pass, padding included."""


class EnsemblePyfunc(PythonModel):  # type: ignore[misc]  # MLflow has no types here
    """One registered version, for `mlflow models serve` and notebooks; `enigma annotate` does not use it."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the ensemble beside this file. Raises ModelError if it is damaged."""
        from enigma_tasks.adapters.llm_endpoint import LlmEndpoints
        from enigma_tasks.ensembles.folder import read_ensemble
        from enigma_tasks.ensembles.runner import EnsembleAnnotator

        ensemble = read_ensemble(Path(context.artifacts["ensemble"]))
        self.language = ensemble.language
        self.annotator = EnsembleAnnotator([ensemble], BATCH_TOKENS, open_endpoint=LlmEndpoints(load_settings()))

    def predict(self, context: PythonModelContext, model_input: Any, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        """A list of texts, or a frame with texts in its first column -> a row per span, in order.

        Columns: document (row number of its text), label, char_start, char_end (code points, half-open), score.

        Raises:
            DataError: `not_text`, with the row number.
        """
        import pandas as pd

        from enigma_tasks.documents import Document
        from enigma_tasks.errors import DataError

        texts = model_input.iloc[:, 0].tolist() if isinstance(model_input, pd.DataFrame) else list(model_input)
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(str(i), "not_text")
        documents = [Document(str(i), text, language=self.language) for i, text in enumerate(texts)]
        annotated = self.annotator.annotate(documents)
        rows = [
            (i, e.label, e.char_start, e.char_end, e.score)
            for i, document in enumerate(annotated)
            for e in document.entities
        ]
        return pd.DataFrame(rows, columns=["document", "label", "char_start", "char_end", "score"])


quiet_third_parties()  # when served too: MLflow's errors would quote refused input
set_model(EnsemblePyfunc())
