"""Rules and word lists of each language, as data: common.yaml, {code}.yaml."""
