"""The sections `validate` and `split` of params.yaml: rules for gold, and its division into folds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from enigma_tasks.frozen import Frozen


class RuleParams(Frozen):
    """Severity and tolerance of a rule."""

    severity: Literal["error", "warn", "off"]
    """`error`: the corpus does not pass; `warn`: defects are listed and counted; `off`: not checked."""
    tolerance: float = Field(0.0, ge=0, lt=1)
    """Share of the rows (documents, or spans of one type) that may break the rule."""


class DropRuleParams(RuleParams):
    """A rule whose defects `enigma validate --filtered` can remove."""

    drop: bool = False


class SpanWordsParams(DropRuleParams):
    """A span too long to be one term: the annotation was probably projected wrongly (paper, section 3.2)."""

    words: int = Field(gt=0)
    """The longest span allowed."""


class DocumentLengthParams(DropRuleParams):
    """A document too short to be a note."""

    characters: int = Field(gt=0)
    """The shortest document allowed."""


class LanguageRuleParams(DropRuleParams):
    """A document in another language than that of its folder."""

    characters: int = Field(gt=0)
    """Shorter documents are not checked, as detection is unreliable."""


class DensityRuleParams(DropRuleParams):
    """A document with far more or far fewer spans per character than others in the corpus."""

    deviations: float = Field(gt=0)
    """Threshold, in robust standard deviations."""
    documents: int = Field(gt=1)
    """Smaller corpora are not checked."""


class RulesParams(Frozen):
    """Every rule that can be tuned; the hard rules (`enigma_tasks.gold.rules.HARD_RULES`) cannot."""

    span_blank: DropRuleParams
    span_edge_white_space: DropRuleParams
    span_duplicate: DropRuleParams
    span_overlap: DropRuleParams
    span_punctuation_only: DropRuleParams
    span_too_long: SpanWordsParams
    document_too_short: DocumentLengthParams
    document_copy: DropRuleParams
    language_differs: LanguageRuleParams
    density_far: DensityRuleParams
    case_in_two_folds: RuleParams

    def rule(self, name: str) -> RuleParams:
        """The parameters of the rule called `name`."""
        found: RuleParams = getattr(self, name)
        return found

    def drops(self, name: str) -> bool:
        """Whether what breaks this rule is removed."""
        rule = self.rule(name)
        return rule.severity != "off" and isinstance(rule, DropRuleParams) and rule.drop


class SuspectsParams(Frozen):
    """`enigma validate --suspects`."""

    folds: int = Field(ge=3)
    """Models trained for each corpus: one predicts each fold."""
    listed: int = Field(gt=0)
    """Documents and types on the page; the file beside it has all."""


class ValidationParams(Frozen):
    """The rules, and overrides for languages."""

    rules: RulesParams
    suspects: SuspectsParams
    languages: dict[str, RulesParams] = Field(default_factory=dict)
    """Complete rules; params.yaml has only what differs from `rules`."""

    @model_validator(mode="before")
    @classmethod
    def _complete_languages(cls, tree: Any) -> Any:
        if not isinstance(tree, dict) or not isinstance(tree.get("languages"), dict):
            return tree
        rules = tree.get("rules")
        return {**tree, "languages": {code: _merged(rules, own) for code, own in tree["languages"].items()}}

    def of(self, language: str | None) -> RulesParams:
        """The rules for texts in this language; the common ones if the language is unknown."""
        return self.languages.get(language or "", self.rules)


def _merged(base: Any, own: Any) -> Any:
    """`own` over `base`, section by section."""
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return {**base, **{key: _merged(base.get(key), value) for key, value in own.items()}}


class SplitParams(Frozen):
    """How a corpus is split into train, dev and optionally test."""

    dev_share: float = Field(ge=0, lt=1)
    """Share of the documents."""
    test_share: float = Field(0.0, ge=0, lt=1)
    density_bins: int = Field(gt=0)
    """Number of bins of spans per character by which the split is stratified."""
    similarity: float = Field(gt=0, le=1)
    """Share of three-word sequences in common (Jaccard) from which two texts are versions of one case."""

    @model_validator(mode="after")
    def _check_shares(self) -> SplitParams:
        if self.dev_share + self.test_share >= 1:
            raise ValueError("dev_share and test_share leave nothing to train on")
        return self
