#!/usr/bin/env bash
# Publishes the native one-file program for linux-arm64, also on an x64 machine. Installs the cross compiler where it is missing.
# usage: eng/build-arm64.sh [FOLDER]       writes FOLDER/mamba; default artifacts/linux-arm64
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-artifacts/linux-arm64}")
source eng/lib.sh

linker=()
if [ "$(uname -m)" != aarch64 ]; then
  need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
  # .NET calls the compiler as clang, with --target; gcc for ARM64 has no other target.
  wrapper=$(mktemp)
  trap 'rm -f "$wrapper"' EXIT
  cat >"$wrapper" <<'WRAPPER'
#!/usr/bin/env bash
arguments=()
for a in "$@"; do [[ $a == --target=* ]] || arguments+=("$a"); done
exec aarch64-linux-gnu-gcc "${arguments[@]}"
WRAPPER
  chmod +x "$wrapper"
  linker=("-p:CppCompilerAndLinker=$wrapper" -p:LinkerFlavor=bfd -p:ObjCopyName=aarch64-linux-gnu-objcopy)
fi
publish_native linux-arm64 "$out" "${linker[@]}"
