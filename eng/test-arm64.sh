#!/usr/bin/env bash
# Runs the ARM64 program and the unit tests that matter there: under qemu on an x64 machine, directly on an ARM64 one.
# usage: eng/test-arm64.sh [PROGRAM]       default artifacts/linux-arm64/mamba, of eng/build-arm64.sh
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-artifacts/linux-arm64/mamba}")
source eng/lib.sh
reference=${MAMBA_REFERENCE:-}
emulator=()
if [ "$(uname -m)" != aarch64 ]; then
  need qemu-aarch64-static qemu-user-static
  emulator=(qemu-aarch64-static)
  export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0

# step NAME COMMAND...: runs it, and prints one line; a failure also prints the end of what it said.
step() {
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$out/log" 2>&1; then
    echo "  ok ($((SECONDS - start)) s): $name: $(tail -n 1 "$out/log")"
    passed=$((passed + 1))
  else
    echo "  FAILED ($((SECONDS - start)) s): $name"
    tail -n 30 "$out/log" | sed 's/^/    /'
    failed=$((failed + 1))
  fi
}

mamba() { "${emulator[@]}" "$program" "$@"; }

# The tests run with .NET's compiler, which the emulator takes badly with pages that are written and executed in turn, and with profiles.
unit_tests() {
  DOTNET_EnableWriteXorExecute=0 DOTNET_TieredPGO=0 "${emulator[@]}" artifacts/tests-arm64/Mamba.TestRunner "$@"
}

train() { mamba train --epochs 1 --limit 10 --size 64 --threads 2 --out "$out/run"; }

goldens=Mamba.Tests/Fixtures/goldens
echo "ARM64: $program"
step 'verify, cases of the sources' mamba verify --strict $goldens/ops $goldens/models/ul-vm-unet.json $goldens/models/resnet20.json
if [ -d "$reference/goldens" ]; then
  step 'verify, all operators' mamba verify --strict "$reference/goldens/ops"
  step 'verify, all operators, the second folder' mamba verify "$reference/goldens2/ops"
  step 'verify, UL-VM-UNet v1 to v6' mamba verify --strict "$reference"/goldens/models/ul-vm-unet-v?.json
fi
step 'train' train
step 'infer' mamba infer --weights "$out/run/weights/best.safetensors" "$out/run/samples" --out "$out/infer"
step 'eval' mamba eval --weights "$out/run/weights/best.safetensors" --data synthetic
step 'bench' mamba bench --model ul-vm-unet --seconds 0.1 --size 64
if [ -f "$reference/weights/mamba_cifar.pth" ]; then
  step "a stranger's checkpoint" mamba convert "$reference/weights/mamba_cifar.pth" "$out/cifar.safetensors"
fi
step 'build of the unit tests' dotnet publish Mamba.Tests/Runner -c Release -r linux-arm64 --self-contained -v quiet -o artifacts/tests-arm64
# Every operator, forwards and backwards, has the bits of x64 at Scalar and V128. A test that calls .NET's own SHA-256 cannot run: no OpenSSL.
step 'unit tests: operators, gradients, trainings: the bits of x64' unit_tests Core.SameBitsTests Models.SameTrainingTests
if [ -f "$reference/weights/mamba_cifar.pth" ]; then
  step "unit tests: a stranger's checkpoint on 100 images" unit_tests Docs.StrangersCheckpointTests
fi
step 'unit tests: vectors and cores' unit_tests Core.PairwiseTests Core.CoresTests
echo "ARM64: $passed passed, $failed failed"
[ "$failed" = 0 ]
