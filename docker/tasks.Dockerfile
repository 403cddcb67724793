# The stages: `docker run IMAGE plan --batch ...`. No Airflow. Build from the repository root, tagged by commit:
#   docker build -f docker/tasks.Dockerfile -t enigma-tasks:$(git rev-parse --short HEAD) .
# The default torch includes CUDA (3.4 GB more). Without it: --build-arg FIND_LINKS=<a folder or page with torch's CPU build>
# Registries that need a certificate authority or settings of their own: build secrets `ca` (a bundle) and `pip` (pip.conf),
# which are not in the image: --secret id=ca,src=FILE. Needs BuildKit, the default builder.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG FIND_LINKS=
ARG UV=0.13.9
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
COPY requirements/tasks.lock requirements/cuda.lock /build/requirements/
RUN --mount=type=secret,id=ca --mount=type=secret,id=pip,target=/etc/pip.conf \
    if test -e /run/secrets/ca; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi \
 && python3 -m venv --without-pip /opt/enigma && python3 -m venv /opt/build && /opt/build/bin/pip install --quiet uv==${UV} \
 && /opt/build/bin/uv pip install --python /opt/enigma/bin/python ${FIND_LINKS:+--find-links "${FIND_LINKS}"} \
      -r /build/requirements/tasks.lock -c /build/requirements/cuda.lock

FROM ${PYTHON_IMAGE}
# tini, as Python as process 1 would ignore the SIGTERM of `docker stop`
RUN apt-get update && apt-get install -y --no-install-recommends git tini && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --create-home --home-dir /home/enigma enigma \
 && install -d -o enigma -g enigma -m 0700 /home/enigma/cache
COPY --from=build /opt/enigma /opt/enigma
# the code in a layer of its own: a change of it rebuilds seconds' worth
COPY enigma_tasks /app/enigma_tasks
COPY params.yaml models.lock /app/
RUN python3 -m compileall -q /app/enigma_tasks \
 && printf '#!/opt/enigma/bin/python\nimport sys\nfrom enigma_tasks.__main__ import run\nsys.exit(run())\n' > /opt/enigma/bin/enigma \
 && chmod 0755 /opt/enigma/bin/enigma
WORKDIR /app
USER 10001:10001
ENV PATH=/opt/enigma/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ENIGMA_CACHE=/home/enigma/cache HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 HOME=/tmp \
    MLFLOW_DISABLE_TELEMETRY=true MLFLOW_MODEL_CATALOG_URI= DO_NOT_TRACK=1
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="enigma-tasks" org.opencontainers.image.revision="${COMMIT}"
ENTRYPOINT ["tini", "--", "enigma"]
CMD ["--help"]
