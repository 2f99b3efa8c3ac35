#!/usr/bin/env bash
# Checks the native programs for x64: what they refuse, what they hold, how long they take.
# usage: eng/test-native.sh                after eng/build-native.sh
set -euo pipefail
cd "$(dirname "$0")/.."
source eng/lib.sh
need qemu-x86_64-static qemu-user-static
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0

fail() {
  echo "  FAILED: $1"
  failed=$((failed + 1))
}

# refuses PROGRAM PROCESSOR: one line on standard error, and exit code 2.
refuses() {
  local code=0
  qemu-x86_64-static -cpu "$2" "$1" models >"$out/stdout" 2>"$out/stderr" || code=$?
  sed -i '/^qemu-x86_64-static: warning/d' "$out/stderr"
  if [ $code = 2 ] && [ "$(wc -l <"$out/stderr")" = 1 ] && [ ! -s "$out/stdout" ]; then
    echo "  ok: on $2: $(cat "$out/stderr")"
  else
    fail "$1 on $2: exit code $code, $(cat "$out/stderr")"
  fi
}

for level in x86-64-v3 x86-64-v4; do
  program=artifacts/linux-$level/mamba
  [ -f "$program" ] || { fail "$program is missing"; continue; }
  echo "native program for $level:"
  refuses "$program" Nehalem
  [ $level = x86-64-v3 ] || refuses "$program" Haswell
  # Libraries that .NET loads while it runs would be named in the file.
  if grep -aqE 'libssl|libgssapi|libicuuc|libcurl' "$program"; then fail "$program names a library beyond the C library"; fi
  if ldd "$program" | grep -vE 'linux-vdso|ld-linux|lib(c|m|dl|pthread|rt)\.so'; then fail "$program needs more than the C library"; fi
done
if qemu-x86_64-static -cpu Haswell artifacts/linux-x86-64-v3/mamba --help >"$out/stdout" 2>/dev/null; then
  echo "  ok: the one for x86-64-v3 runs on Haswell"
else
  fail "the one for x86-64-v3 does not run on Haswell"
fi
[ "$failed" = 0 ] || { echo "native programs: $failed failed"; exit 1; }
