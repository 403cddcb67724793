"""Token classifiers: records and tensors in and out; no network, no MLflow, no Airflow."""
