# syntax=docker/dockerfile:1
# Airflow with the DAGs in the image, so that the code cannot change during a run. No torch, no stage code.
#   docker build -f docker/airflow.Dockerfile -t enigma-airflow:$(git rev-parse --short HEAD) .
ARG AIRFLOW_IMAGE=apache/airflow:slim-3.3.2-python3.11

FROM ${AIRFLOW_IMAGE}
USER airflow
COPY --chown=airflow:root requirements/airflow.lock /tmp/airflow.lock
RUN pip install --no-cache-dir --disable-pip-version-check -r /tmp/airflow.lock
COPY --chown=airflow:root dags /opt/airflow/dags
ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags AIRFLOW__CORE__LOAD_EXAMPLES=False
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="enigma-airflow" org.opencontainers.image.revision="${COMMIT}"
