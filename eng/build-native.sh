#!/usr/bin/env bash
# Publishes the native one-file programs for linux-x64, one per level of processors: x86-64-v3 (AVX2, FMA) and x86-64-v4 (AVX-512).
# usage: eng/build-native.sh [LEVEL...]    writes artifacts/linux-LEVEL/mamba; both levels without arguments
set -euo pipefail
cd "$(dirname "$0")/.."
source eng/lib.sh
need gcc gcc

[ $# -gt 0 ] || set -- x86-64-v3 x86-64-v4
for level; do
  case $level in
    x86-64-v3 | x86-64-v4) publish_native linux-x64 "$PWD/artifacts/linux-$level" -p:IlcInstructionSet="$level" ;;
    *) echo "eng/build-native.sh: no level '$level'; expected x86-64-v3 or x86-64-v4" >&2; exit 2 ;;
  esac
done
