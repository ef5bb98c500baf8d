# Appends what `sign` and `merge` have in common to the positional parameters. To be sourced.
#
# bash 3.2, which macOS has, takes an empty array for an unset variable; positional parameters may be empty.
# shellcheck shell=bash

[ -z "${POLICY:-}" ] || set -- "$@" --policy "$POLICY"
[ -z "${SIGNING_CONFIG:-}" ] || set -- "$@" --signing-config "$SIGNING_CONFIG"
[ -z "${TRUSTED_ROOT:-}" ] || set -- "$@" --trusted-root "$TRUSTED_ROOT"
[ -z "${TIMEOUT:-}" ] || set -- "$@" --timeout "$TIMEOUT"
while IFS= read -r annotation; do
  [ -z "$annotation" ] || set -- "$@" --annotation "$annotation"
done <<<"${ANNOTATIONS:-}"
