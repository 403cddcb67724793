"""The local stack: an S3 server, MLflow and Airflow on loopback, with their state in one folder."""
