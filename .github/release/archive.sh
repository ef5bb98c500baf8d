#!/usr/bin/env bash
# Makes the archive of a release: the program, its completions and manual pages, licence and readme.
#
#   archive.sh VERSION TARGET PROGRAM DIRECTORY
#
# The archive is DIRECTORY/countersign-VERSION-TARGET.tar.gz. PROGRAM has to run on this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Else macOS's tar puts a second file beside each.
export COPYFILE_DISABLE=1

version=$1 target=$2 program=$3 directory=$4
name=countersign-$version-$target

found=$("$program" --version)
[ "$found" = "countersign $version" ] || {
  echo "expected countersign $version, found $found" >&2
  exit 1
}
# What is for any Linux needs nothing of it: no shared library, and no loader.
case "$target" in
  *-musl)
    if readelf --dynamic --program-headers --wide "$program" | grep -E 'NEEDED|INTERP'; then
      echo "$program is not static" >&2
      exit 1
    fi
    ;;
esac

scratch=$(mktemp -d)
mkdir -p "$scratch/$name/completions" "$scratch/$name/man" "$directory"
cp "$program" "$scratch/$name/countersign"
cp LICENSE README.md CHANGELOG.md "$scratch/$name/"
"$program" completions bash >"$scratch/$name/completions/countersign.bash"
"$program" completions zsh >"$scratch/$name/completions/_countersign"
"$program" completions fish >"$scratch/$name/completions/countersign.fish"
"$program" man "$scratch/$name/man"
tar -c -z -f "$directory/$name.tar.gz" -C "$scratch" "$name"
rm -r "$scratch"
