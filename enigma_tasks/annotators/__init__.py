"""The other kinds of member: GLiNER and language models."""
