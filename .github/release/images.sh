#!/usr/bin/env bash
# Pushes the images of a release, without a name that anybody asks for: one of the program for each platform of Linux,
# and one of each archive, which is what signs the archive. Names them all as outputs, by digest.
#
#   images.sh VERSION DIRECTORY REPOSITORY
#
# DIRECTORY has the archives. The outputs are `platforms` and `archives`, one image a line.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$1 directory=$2 repository=$3
scratch=$(mktemp -d)

# Builds a folder, pushes it, and prints what it is now, by digest.
push() {
  local tag=$1 platform=$2 folder=$3
  docker build --quiet --platform "$platform" --provenance=false --tag "$tag" "$folder" >&2
  docker push --quiet "$tag" >&2
  docker inspect --format '{{index .RepoDigests 0}}' "$tag"
}

platforms='' archives=''
for archive in "$directory"/countersign-"$version"-*.tar.gz; do
  name=$(basename "$archive" .tar.gz)
  target=${name#countersign-"$version"-}

  folder=$scratch/archive-$target
  mkdir "$folder"
  cp "$archive" "$folder/"
  printf 'FROM scratch\nCOPY %s /\n' "$(basename "$archive")" >"$folder/Dockerfile"
  archives+=$(push "$repository/archives:build-$GITHUB_RUN_ID-$target" linux/amd64 "$folder")$'\n'

  case "$target" in
    x86_64-*-linux-*) platform=linux/amd64 ;;
    aarch64-*-linux-*) platform=linux/arm64 ;;
    *) continue ;;
  esac
  folder=$scratch/platform-$target
  mkdir -p "$folder/root/tmp"
  cp .github/release/Dockerfile /etc/ssl/certs/ca-certificates.crt "$folder/"
  tar -x -z -O -f "$archive" "$name/countersign" >"$folder/countersign"
  chmod 755 "$folder/countersign"
  platforms+=$(push "$repository/build:$GITHUB_RUN_ID-${platform#linux/}" "$platform" "$folder")$'\n'
done
rm -r "$scratch"

{
  printf 'platforms<<END OF IMAGES\n%sEND OF IMAGES\n' "$platforms"
  printf 'archives<<END OF IMAGES\n%sEND OF IMAGES\n' "$archives"
} >>"$GITHUB_OUTPUT"
