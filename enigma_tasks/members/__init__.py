"""Members of other kinds than token classifiers: GLiNER, a language model behind an endpoint."""
