"""Whether the models are still good: control charts, drift, reviewed notes; pure."""
