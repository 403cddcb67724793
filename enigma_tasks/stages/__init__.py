"""The pipeline, one module per stage word: read, call the core, write, return a report."""
