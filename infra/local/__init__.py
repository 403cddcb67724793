"""The stack on one machine: an S3 server, MLflow and Airflow on loopback, state under one folder."""
