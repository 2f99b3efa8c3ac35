#!/usr/bin/env bash
# Writes the public API of Mamba.Core and Mamba.Models into their PublicAPI.Unshipped.txt. Run it after a change of the API, and read the diff.
# At a release its lines move to PublicAPI.Shipped.txt; a line that is there already is not written again.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for project in Mamba.Core Mamba.Models; do
  api=$project/PublicAPI.Unshipped.txt
  before=$(cat "$api")
  echo '#nullable enable' >"$api"
  # The compiler reports each symbol that the emptied list lacks as RS0016. The text between the quotes is its line in the list.
  if ! dotnet build "$project" -c Release --no-incremental -v q -p:TreatWarningsAsErrors=false >"$log" 2>&1; then
    printf '%s\n' "$before" >"$api"
    grep -F 'error' "$log" >&2 || cat "$log" >&2
    exit 1
  fi
  sed -n "s/.*warning RS0016: Symbol '\(.*\)' is not part of the declared public API.*/\1/p" "$log" | LC_ALL=C sort -u >>"$api"
  echo "$api: $(($(wc -l <"$api") - 1)) symbols"
done
