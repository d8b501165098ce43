#!/bin/sh
# Alerts when nothing rotates: tokens that end sooner than any should that is rotated in time. For another machine than rotate.sh's.
set -eu
cd "$(dirname "$0")"
set -a
. ./watch.env
set +a

soon=$(pulumi-avn-token list --expiring-within "$SOONER_THAN" --json)
[ "$soon" = "[]" ] || {
    echo "watch.sh: these should have been rotated; does the schedule still run?"
    pulumi-avn-token list --expiring-within "$SOONER_THAN"
    exit 1
} >&2
