#!/usr/bin/env bash
# The tags that a build of this branch or tag gets, as the output `tags`: one a line, in every repository.
#
# They are NAME, sha-COMMIT and perhaps latest, each with SUFFIX: the name of the branch, or of the tag if it is a version,
# 1.2.3 or v1.2.3; the first 7 digits of the commit; latest for a version that is no pre-release.
#
# Variables: REPOSITORIES, one a line; SUFFIX; LATEST: `true` or `false` instead, or `auto`.
set -euo pipefail

fail() {
  echo "::error title=countersign::$*"
  exit 2
}

version='^v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$'
latest=false
names=sha-${GITHUB_SHA:0:7}
case "$GITHUB_REF_TYPE" in
  branch)
    # What a tag of an image can't have in it, such as slashes.
    names="$names ${GITHUB_REF_NAME//[^0-9A-Za-z._-]/-}"
    ;;
  tag)
    if [[ $GITHUB_REF_NAME =~ $version ]]; then
      names="$names ${GITHUB_REF_NAME//+/-}"
      [ -n "${BASH_REMATCH[4]}" ] || latest=true
    fi
    ;;
  *) fail "expected a branch or a tag, found $GITHUB_REF_TYPE" ;;
esac
case "${LATEST:-auto}" in
  auto) ;;
  true | false) latest=$LATEST ;;
  *) fail "\`tag-latest\` is \`auto\`, \`true\` or \`false\`, found $LATEST" ;;
esac
[ "$latest" = false ] || names="$names latest"

{
  # No tag has a space in it, and no name of a repository.
  echo "tags<<END OF TAGS"
  while IFS= read -r repository; do
    [ -n "$repository" ] || continue
    for name in $names; do echo "$repository:$name${SUFFIX:-}"; done
  done <<<"$REPOSITORIES"
  echo "END OF TAGS"
} >>"$GITHUB_OUTPUT"
