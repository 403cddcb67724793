# What the compose file needs beside Enigma, from Debian's packages: Ceph (the S3 store), PostgreSQL, HAProxy.
# `make images` builds it. Each service starts its script of docker/services/ as its own user.
ARG PYTHON_IMAGE

FROM ${PYTHON_IMAGE}
# without the cluster, the keys, the ids and the logs that the packages make on installation
RUN export SOURCE_DATE_EPOCH=0 && apt-get update -qq \
 && install -d /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ceph-common ceph-mon ceph-osd haproxy postgresql radosgw tini > /dev/null \
 && install -d -o ceph -g ceph -m 0700 /data/ceph && install -d -o postgres -g postgres -m 0700 /data/postgres \
 && rm -rf /etc/nvme /etc/ssl/private/* /etc/ssl/certs/ssl-cert-snakeoil.pem \
      /var/lib/apt/lists/* /var/cache/* /var/log/* /var/lib/dpkg/*-old /etc/*- \
 && find /etc/ssl/certs -xtype l -delete
COPY docker/services /opt/services
USER nobody
ARG COMMIT
LABEL org.opencontainers.image.title="enigma-services" org.opencontainers.image.revision="${COMMIT}"
ENTRYPOINT ["tini", "--"]
