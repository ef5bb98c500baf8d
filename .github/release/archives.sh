#!/usr/bin/env bash
# Signs the images of the archives, and only then gives them their names: vVERSION-TARGET.
#
# Variables: VERSION, with or without a v; IMAGES, as images.sh names them; PROGRAM, a countersign that runs here; DIRECTORY with the archives.
set -euo pipefail

version=${VERSION:?}
version=${version#v}
while IFS= read -r image; do
  [ -n "$image" ] || continue
  repository=${image%@*}
  # An image is in the order of its archive.
  set -- "$@" "$image"
done <<<"$IMAGES"

for archive in "$DIRECTORY"/countersign-"$version"-*.tar.gz; do
  name=$(basename "$archive" .tar.gz)
  "$PROGRAM" merge --tag "$repository:v$version-${name#countersign-"$version"-}" -- "$1"
  shift
done
