#!/bin/sh
# Run once by the postgres image on an empty volume: the user with which Grafana reads. `caldrift db upgrade` lets it
# read the versioned views and nothing else (CALDRIFT_POSTGRES__READ_ROLE).
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set password="$GRAFANA_READ_PASSWORD" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password';
SQL
