#!/usr/bin/env bash
# Signs images, and writes the job summary.
#
# Variables, of which a list has one value a line: IMAGES, ANNOTATIONS; and POLICY, SIGNING_CONFIG, TRUSTED_ROOT, TIMEOUT.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# bash 3.2, which macOS has, takes an empty array for an unset variable; positional parameters may be empty.
set -- sign --output json
[ -z "${POLICY:-}" ] || set -- "$@" --policy "$POLICY"
[ -z "${SIGNING_CONFIG:-}" ] || set -- "$@" --signing-config "$SIGNING_CONFIG"
[ -z "${TRUSTED_ROOT:-}" ] || set -- "$@" --trusted-root "$TRUSTED_ROOT"
[ -z "${TIMEOUT:-}" ] || set -- "$@" --timeout "$TIMEOUT"
while IFS= read -r annotation; do
  [ -z "$annotation" ] || set -- "$@" --annotation "$annotation"
done <<<"${ANNOTATIONS:-}"
set -- "$@" --
while IFS= read -r image; do
  [ -z "$image" ] || set -- "$@" "$image"
done <<<"$IMAGES"
exec "$here/report.sh" "$@"
