"""Scores -> a decision with reasons, the change plan, the journal of champions."""
