#!/usr/bin/env bash
# The four commands of a deploy script, one line each: migrate.sh status | backup | upgrade | rollback
set -euo pipefail
cd "$(dirname "$0")/.."

verb="${1:-status}"
shift || true

case "$verb" in
    status | plan | check | review | heads) exec python -m safeops "$verb" "$@" ;;
    backup) exec python -m safeops backup --keep "${KEEP_BACKUPS:-7}" "$@" ;;
    # The health check is a URL or a command of the project.
    upgrade) exec python -m safeops upgrade --backup ${HEALTH_CHECK:+--health-check "$HEALTH_CHECK"} "$@" ;;
    rollback) exec python -m safeops rollback --backup "$@" ;;
    *)
        echo "usage: $0 status | plan | check | review | heads | backup | upgrade | rollback [options of safeops]" >&2
        exit 4
        ;;
esac
