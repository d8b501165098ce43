#!/bin/sh
# Alerts when nothing rotates: tokens that end sooner than any should that is rotated in time, or that are there no more.
# For another machine than rotate.sh's.
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

valid=$(pulumi-avn-token list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')
[ "$valid" -ge "$TOKENS" ] || {
    echo "watch.sh: $valid tokens are valid, where at least $TOKENS should be: have some expired, or is AIVEN_TOKEN another user's?"
    exit 1
} >&2
