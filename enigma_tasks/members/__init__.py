"""Members that are no token classifiers: GLiNER, a language model behind an endpoint."""
