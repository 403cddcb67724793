"""Records of estimated strict F1: what an ensemble's card, a shard's commit and a night's summary hold of it."""

from __future__ import annotations

from enigma_tasks.frozen import Frozen


class DevError(Frozen):
    """Estimated less measured strict F1 on dev, each document estimated by the calibration of the other folds."""

    documents: int
    mentions: int
    """Gold mentions in them."""
    estimated: float
    measured: float
    rms: float
    """Root mean square of the difference under resampling of the documents."""


class EstimatedF1(Frozen):
    """The strict scores that the models' calibrated probabilities let expect, of one language and type in one night."""

    notes: int
    """Notes with an estimate."""
    spans: int
    matched: float
    """Expected number of the spans that are strict matches."""
    missed: float
    """Expected number of mentions that are none of the spans."""
    precision: float
    recall: float
    f1: float
    low: float
    """Of a 95 % interval that holds where the notes are annotated as dev is, and the models know them as well."""
    high: float
    dev: DevError
    """How far the same estimate was off on dev."""
