# The stages: `docker run IMAGE plan --batch ...`. No Airflow. `make images` builds it from a commit and its files alone.
# Needs BuildKit and no front end from a registry.
ARG PYTHON_IMAGE

FROM ${PYTHON_IMAGE} AS build
# cpu, or cuda (3.4 GB more)
ARG TORCH=cpu
COPY docker/install.sh docker/torch-${TORCH}.txt requirements/tools/images.lock requirements/tasks.lock requirements/cuda.lock /build/
RUN --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=secret,id=links \
    if test "${TORCH}" = cpu; then : > /build/cuda.lock; fi \
 && sh /build/install.sh /opt/enigma /build/tasks.lock /build/torch-${TORCH}.txt /build/cuda.lock

FROM build AS code
COPY enigma_tasks /app/enigma_tasks
COPY params.yaml models.lock /app/
COPY pyproject.toml README.md LICENSE /source/
# the package's name and version, which `register` notes
RUN cd /source && ln -s /app/enigma_tasks . \
 && /opt/build/bin/python -c "from setuptools.build_meta import prepare_metadata_for_build_wheel as write; write('/app')" > /dev/null \
 && rm -rf /app/*.egg-info && chmod -R u=rwX,go=rX /app \
 && PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /app/enigma_tasks

FROM ${PYTHON_IMAGE}
# tini, as Python as process 1 would ignore the SIGTERM of `docker stop`; no file that says when this was run
RUN export SOURCE_DATE_EPOCH=0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends git tini > /dev/null \
 && useradd --uid 10001 --user-group --create-home --home-dir /home/enigma enigma \
 && install -d -o enigma -g enigma -m 0700 /home/enigma/cache /data \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /var/lib/dpkg/*-old /etc/*-
COPY --from=build /opt/enigma /opt/enigma
# the code in a layer of its own: a change of it rebuilds seconds' worth
COPY --from=code /app /app
RUN printf '#!/opt/enigma/bin/python\nimport sys\nfrom enigma_tasks.__main__ import run\nsys.exit(run())\n' > /opt/enigma/bin/enigma \
 && chmod 0755 /opt/enigma/bin/enigma
WORKDIR /app
USER 10001:10001
ENV PATH=/opt/enigma/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ENIGMA_CACHE=/home/enigma/cache HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 HOME=/tmp \
    MLFLOW_DISABLE_TELEMETRY=true MLFLOW_MODEL_CATALOG_URI= DO_NOT_TRACK=1
ARG COMMIT
ARG LOCK
ARG TORCH=cpu
LABEL org.opencontainers.image.title="enigma-tasks" org.opencontainers.image.revision="${COMMIT}" \
      enigma.lock="${LOCK}" enigma.torch="${TORCH}"
ENTRYPOINT ["tini", "--", "enigma"]
CMD ["--help"]
