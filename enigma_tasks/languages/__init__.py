"""What is known of each language, as data found by its code: common.yaml, {code}.yaml."""
