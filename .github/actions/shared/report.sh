#!/usr/bin/env bash
# Runs `countersign "$@" --output json`, and tells what came of it: a job summary, outputs `result` (the file with the
# JSON) and `digest` (of the first image), and an error annotation if it failed. Ends as countersign did.
#
# Variable: LOG_SEARCH_URL: where entries of the log are looked up; the number of an entry is appended. Without it,
# entries of the public Rekor v1 get a link to their search page, and those of other logs none.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

result=$(mktemp "$RUNNER_TEMP/countersign-result.XXXXXX")
code=0
countersign "$@" >"$result" || code=$?

# A program that was ended may have left half a document, or none.
if ! jq --exit-status --slurp 'length == 1' "$result" >/dev/null 2>&1; then
  printf '{"error": {"message": "countersign ended with %d and said nothing"}}' "$code" >"$result"
  [ "$code" != 0 ] || code=1
fi
jq --raw-output --arg command "$1" --arg search "${LOG_SEARCH_URL:-}" --from-file "$here/summary.jq" "$result" \
  >>"$GITHUB_STEP_SUMMARY"
{
  echo "result=$result"
  jq --raw-output '"digest=" + (.digest // [.results[]? | select(.outcome != "unsigned")][0].digest // "")' "$result"
} >>"$GITHUB_OUTPUT"
# The log of the job has it as text: errors as an annotation, with what ends a line or begins a command escaped.
jq --raw-output '
  def escaped: gsub("%"; "%25") | gsub("\r"; "%0D") | gsub("\n"; "%0A");
  (.warnings[]? | tostring | "::warning title=countersign::" + escaped),
  (.results[]? | select(.outcome != "unsigned") | "\(.digest) is signed by \(.evidence.identity)"),
  (.error // empty | [.message] + (.causes // []) + ((.hints // []) | map("hint: " + .)) | join("\n")
    | "::error title=countersign::" + escaped)
' "$result"
exit "$code"
