#!/usr/bin/env bash
# Installs a released countersign, and puts it into the PATH of the steps that follow.
#
# What the installation rests on is the archive's SHA-256, which is pinned: in checksums.txt beside this script, or by
# the caller. Then the program that was installed is asked who signed the release, by release-policy.yaml. A program
# that lies could lie there too: this finds a release that was pinned by mistake, and not one that was pinned by an
# attacker. docs/ci/github.md says how to ask a program of somebody else.
#
# Variables: EXECUTABLE: a countersign that is there already: nothing is installed. VERSION and SHA256: another release
# than checksums.txt has. RELEASES: where archives are, as /v1.2.3/NAME below this URL. ARCHIVES: the repository that has
# each archive as a signed image. RELEASE_POLICY: who signs releases; a relative name is below GITHUB_WORKSPACE.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

fail() {
  echo "::error title=countersign was not installed::$*"
  exit 1
}

# As on Linux, also where there is macOS's `shasum` alone.
sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

if [ -n "${EXECUTABLE:-}" ]; then
  [ -x "$EXECUTABLE" ] || fail "there is no program $EXECUTABLE"
  (cd "$(dirname "$EXECUTABLE")" && pwd) >>"$GITHUB_PATH"
  exit
fi

case "$RUNNER_OS-$RUNNER_ARCH" in
  Linux-X64) target=x86_64-unknown-linux-musl ;;
  Linux-ARM64) target=aarch64-unknown-linux-musl ;;
  macOS-X64) target=x86_64-apple-darwin ;;
  macOS-ARM64) target=aarch64-apple-darwin ;;
  *) fail "no countersign is published for $RUNNER_OS on $RUNNER_ARCH" ;;
esac

version=${VERSION:-} expected=${SHA256:-}
version=${version#v}
if [ -n "$version" ] || [ -n "$expected" ]; then
  [ -n "$version" ] && [ -n "$expected" ] || fail "\`version\` and \`sha256\` belong together: pass both"
else
  pinned=$(grep -E "^[0-9a-f]{64}  countersign-.+-$target\.tar\.gz\$" "$here/checksums.txt") ||
    fail "this commit of the action pins no release for $target: use a later commit, or pass \`version\` and \`sha256\`"
  expected=${pinned%% *}
  version=${pinned#*countersign-}
  version=${version%-"$target".tar.gz}
fi
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || fail "\`version\` is not of the form 1.2.3: $version"
[[ $expected =~ ^[0-9a-f]{64}$ ]] || fail "\`sha256\` is not 64 hexadecimal digits: $expected"

archive=countersign-$version-$target.tar.gz
scratch=$(mktemp -d "$RUNNER_TEMP/countersign.XXXXXX")
url=$RELEASES/v$version/$archive
curl --fail --silent --show-error --location --proto '=https,http,file' --proto-redir '=https' --retry 5 \
  --max-time 300 --max-filesize 104857600 --output "$scratch/$archive" "$url" || fail "$url can't be fetched"
found=$(sha256 "$scratch/$archive")
[ "$found" = "$expected" ] || fail "$url has another SHA-256: expected $expected, found $found"
tar -x -z -f "$scratch/$archive" -C "$scratch"
program=$scratch/countersign-$version-$target/countersign
[ -x "$program" ] || fail "$archive has no program countersign in it"

policy=${RELEASE_POLICY:-$here/release-policy.yaml}
[ -f "$policy" ] || policy=$GITHUB_WORKSPACE/$policy
image=$ARCHIVES:v$version-$target
"$program" install --policy "$policy" --platform linux/amd64 "$image" "$scratch/signed" ||
  fail "$image is not signed as the policy for releases says"
signed=$(sha256 "$scratch/signed/$archive")
[ "$signed" = "$expected" ] || fail "the signed archive is another one: expected $expected, found $signed in $image"

dirname "$program" >>"$GITHUB_PATH"
echo "countersign $version is installed; its release is signed by the workflow that the policy names"
