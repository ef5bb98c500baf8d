# The job summary, in Markdown, of what `countersign sign` or `merge` printed as JSON.

# The log behind search.sigstore.dev: Rekor v1 of the public instance. Rekor v2 has no such page yet.
def public_rekor: "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d";

# A cell of a table: nothing in it is Markdown or HTML, and it is one line.
def cell: tostring | gsub("[\\r\\n]+"; " ") | gsub("&"; "&amp;") | gsub("<"; "&lt;") | gsub("\\|"; "&#124;")
  | gsub("(?<c>[\\\\`*_\\[\\]])"; "\\" + .c);
# The same in a monospaced font: backticks can't be escaped in there.
def code: tostring | gsub("[\\r\\n`|]+"; " ") | "`" + . + "`";

def entry:
  if .log_index == null then "–"
  elif $search != "" then "[\(.log_index)](\($search)\(.log_index))"
  elif .log_id == public_rekor then "[\(.log_index)](https://search.sigstore.dev/?logIndex=\(.log_index))"
  else "\(.log_index)"
  end;

# The manifests that were signed.
def signed: [.results[]? | select(.outcome != "unsigned")];

# An index has none.
def platform: if . == null then "–" else [.os, .architecture, .variant // empty] | join("/") end;

"### countersign \($command)",
"",
(if .error then
  "**Failed:** " + (.error.message | cell),
  "",
  ((.error.causes // [])[] | "- " + cell),
  ((.error.hints // [])[] | "- What to do: " + cell),
  ""
else empty end),
(if (.tags // []) | length > 0 then
  "Tags: " + (.tags | map(if type == "string" then . else .reference // .tag // tostring end | code) | join(", ")),
  ""
else empty end),
(if signed | length > 0 then
  "| Image | Platform | Digest | Log entry | Verified as an installer does |",
  "|---|---|---|---|---|",
  (signed[] | "| \(.reference | code) | \(.platform | platform | cell) | \(.digest | code) | \(.evidence | entry) | signed by \(.evidence.identity | cell) |"),
  ""
else empty end),
((.warnings // [])[] | "> " + cell)
