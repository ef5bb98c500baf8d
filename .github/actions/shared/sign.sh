#!/usr/bin/env bash
# Signs images, and writes the job summary.
#
# Variables, of which a list has one value a line: IMAGES, THEN_TAGS, ANNOTATIONS; and POLICY, SIGNING_CONFIG, TRUSTED_ROOT, TIMEOUT.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

set -- sign --output json
# shellcheck source-path=SCRIPTDIR source=options.sh
. "$here/options.sh"
while IFS= read -r tag; do
  [ -z "$tag" ] || set -- "$@" --then-tag "$tag"
done <<<"${THEN_TAGS:-}"
set -- "$@" --
while IFS= read -r image; do
  [ -z "$image" ] || set -- "$@" "$image"
done <<<"$IMAGES"
exec "$here/report.sh" "$@"
