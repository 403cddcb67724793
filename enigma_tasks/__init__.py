"""Clinical named entity recognition as nightly batch work; knows nothing of Airflow."""

__version__ = "0.1.0"
