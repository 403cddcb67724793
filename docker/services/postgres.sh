#!/bin/bash
# PostgreSQL on port 5432, kept in /data/postgres: the database and user `airflow` with the password POSTGRES_PASSWORD.
set -euo pipefail
: "${POSTGRES_PASSWORD:?}"
programs=$(echo /usr/lib/postgresql/*/bin)
data=/data/postgres/cluster
if ! test -e $data; then
  rm -rf $data.new
  (umask 077; printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password)
  "$programs/initdb" --pgdata $data.new --username airflow --pwfile /tmp/password --auth scram-sha-256 --encoding UTF8 > /dev/null
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> $data.new/pg_hba.conf
  echo 'CREATE DATABASE airflow' | "$programs/postgres" --single -D $data.new postgres > /dev/null
  mv $data.new $data
fi
exec "$programs/postgres" -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp
