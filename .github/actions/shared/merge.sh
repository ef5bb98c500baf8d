#!/usr/bin/env bash
# Joins images into one, signs it, and lets tags name it; and writes the job summary.
#
# Variables, of which a list has one value a line: TAGS, IMAGES, ANNOTATIONS, INDEX_ANNOTATIONS; DIGESTS, a folder with a
# file for each image, which is called like the image's SHA-256, and SOURCE, the repository that has them; and POLICY,
# SIGNING_CONFIG, TRUSTED_ROOT, TIMEOUT.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

set -- merge --output json
# shellcheck source-path=SCRIPTDIR source=options.sh
. "$here/options.sh"
while IFS= read -r annotation; do
  [ -z "$annotation" ] || set -- "$@" --index-annotation "$annotation"
done <<<"${INDEX_ANNOTATIONS:-}"
while IFS= read -r tag; do
  [ -z "$tag" ] || set -- "$@" --tag "$tag"
done <<<"$TAGS"
[ -z "${DIGESTS:-}" ] || set -- "$@" --digests-from "$DIGESTS"
[ -z "${SOURCE:-}" ] || set -- "$@" --from "$SOURCE"
set -- "$@" --
while IFS= read -r image; do
  [ -z "$image" ] || set -- "$@" "$image"
done <<<"${IMAGES:-}"
exec "$here/report.sh" "$@"
