#!/usr/bin/env bash
# Signs images, and writes the job summary.
#
# Variables, of which a list has one value a line: IMAGES, ANNOTATIONS; and POLICY, SIGNING_CONFIG, TRUSTED_ROOT, TIMEOUT.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

set -- sign --output json
# shellcheck source-path=SCRIPTDIR source=options.sh
. "$here/options.sh"
set -- "$@" --
while IFS= read -r image; do
  [ -z "$image" ] || set -- "$@" "$image"
done <<<"$IMAGES"
exec "$here/report.sh" "$@"
