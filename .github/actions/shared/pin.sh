#!/usr/bin/env bash
# Pins a release: from now on the actions of this checkout install it, by these checksums.
#
#   pin.sh VERSION SHA256SUMS
#
# SHA256SUMS is the release's file of that name. Look at who signed the release before you pin it: docs/ci/github.md.
set -euo pipefail

version=${1#v} sums=$2
file=$(cd "$(dirname "$0")" && pwd)/checksums.txt

head=$(grep '^#' "$file")
lines=$(grep -E "^[0-9a-f]{64}  countersign-${version//./\\.}-[0-9a-z_-]+\.tar\.gz\$" "$sums") || {
  echo "$sums names no archive of $version" >&2
  exit 1
}
printf '%s\n%s\n' "$head" "$lines" >"$file"
