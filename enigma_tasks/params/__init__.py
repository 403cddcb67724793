"""The sections of params.yaml, typed: what a person may tune."""
