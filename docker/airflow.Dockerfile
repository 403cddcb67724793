# Airflow with the DAGs in the image, so that the code cannot change during a run. No torch, no stage code.
# `make images` builds it from a commit and its files alone.
ARG PYTHON_IMAGE

FROM ${PYTHON_IMAGE} AS build
COPY docker/install.sh requirements/tools/images.lock requirements/airflow.lock /build/
RUN --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=secret,id=links \
    sh /build/install.sh /opt/environment /build/airflow.lock

FROM build AS code
COPY dags /opt/airflow/dags
RUN chmod -R u=rwX,go=rX /opt/airflow/dags

FROM ${PYTHON_IMAGE}
RUN export SOURCE_DATE_EPOCH=0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends tini > /dev/null \
 && useradd --uid 50000 --gid 0 --create-home --home-dir /home/airflow airflow \
 && install -d -o airflow -g root -m 0775 /opt/airflow /opt/airflow/logs \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /var/lib/dpkg/*-old /etc/*-
COPY --from=build /opt/environment /opt/environment
COPY --from=code /opt/airflow/dags /opt/airflow/dags
WORKDIR /opt/airflow
USER 50000:0
ENV PATH=/opt/environment/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags AIRFLOW__CORE__LOAD_EXAMPLES=False
ARG COMMIT
ARG LOCK
LABEL org.opencontainers.image.title="enigma-airflow" org.opencontainers.image.revision="${COMMIT}" enigma.lock="${LOCK}"
ENTRYPOINT ["tini", "--", "airflow"]
CMD ["version"]
