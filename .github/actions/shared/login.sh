#!/usr/bin/env bash
# Writes a login to a registry where docker keeps it, or with --remove takes it away again. Without a user, does nothing.
#
# Variables: REGISTRY, USERNAME, PASSWORD.
set -euo pipefail

[ -n "${USERNAME:-}" ] || exit 0
umask 077
file=${DOCKER_CONFIG:-$HOME/.docker}/config.json
mkdir -p "${file%/*}"
[ -s "$file" ] || echo '{}' >"$file"
change='.auths[env.REGISTRY] = {auth: (env.USERNAME + ":" + env.PASSWORD | @base64)}'
[ "${1:-}" != --remove ] || change='del(.auths[env.REGISTRY])'
# Moved into its place whole: a program that reads it meanwhile reads the old one or the new one.
changed=$(mktemp "$file.XXXXXX")
jq "$change" "$file" >"$changed"
mv "$changed" "$file"
