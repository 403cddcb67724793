# syntax=docker/dockerfile:1
# The stages: `docker run IMAGE plan --batch ...`. No Airflow. Build from the repository root, tagged by commit:
#   docker build -f docker/tasks.Dockerfile -t enigma-tasks:$(git rev-parse --short HEAD) .
# The default torch includes CUDA. For a smaller image without it: --build-arg EXTRA_INDEX=<an index of CPU builds>
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG EXTRA_INDEX=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
RUN python3 -m venv /opt/enigma && /opt/enigma/bin/pip install --quiet uv
COPY requirements/tasks.lock requirements/cuda.lock /build/requirements/
RUN /opt/enigma/bin/uv pip install --python /opt/enigma/bin/python \
      ${EXTRA_INDEX:+--extra-index-url "${EXTRA_INDEX}" --index-strategy unsafe-best-match} \
      -r /build/requirements/tasks.lock -c /build/requirements/cuda.lock
COPY pyproject.toml README.md LICENSE /build/
COPY enigma_tasks /build/enigma_tasks
RUN /opt/enigma/bin/uv pip install --python /opt/enigma/bin/python --no-deps /build \
 && /opt/enigma/bin/uv pip uninstall --python /opt/enigma/bin/python uv

FROM ${PYTHON_IMAGE}
# tini, as Python as process 1 would ignore the SIGTERM of `docker stop`
RUN apt-get update && apt-get install -y --no-install-recommends git tini && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --create-home --home-dir /home/enigma enigma
COPY --from=build /opt/enigma /opt/enigma
COPY params.yaml models.lock /app/
WORKDIR /app
USER 10001:10001
ENV PATH=/opt/enigma/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ENIGMA_CACHE=/home/enigma/cache HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 \
    MLFLOW_DISABLE_TELEMETRY=true MLFLOW_MODEL_CATALOG_URI= DO_NOT_TRACK=1
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="enigma-tasks" org.opencontainers.image.revision="${COMMIT}"
ENTRYPOINT ["tini", "--", "enigma"]
CMD ["--help"]
