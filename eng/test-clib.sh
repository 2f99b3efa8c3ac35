#!/usr/bin/env bash
# Builds the C library for x64, and for ARM64 where a cross compiler and an emulator are present; compiles the C example against it and
# runs it, with good weights and with bad ones. At the same vector width both must write the same mask. The sample EmbeddedSegmenter, with
# the weights inside, must find as many pixels as the C example.
#   eng/test-clib.sh [--only x64|arm64] [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."
source eng/lib.sh
need gcc gcc
only=
if [ "${1:-}" = --only ]; then only=$2; shift 2; fi
out=${1:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
weights=$out/weights.safetensors frame=$out/frame.rgb width=320 height=240

# Weights of a few steps on synthetic images, and a frame of a bright disc on a gradient.
if [ ! -f "$weights" ]; then
  dotnet run --project Mamba.Cli -c Release -- train --model ul-vm-unet --limit 16 --epochs 1 --size 64x64 --out "$out/run" >"$out/train.log"
  cp "$out/run/weights/best.safetensors" "$weights"
fi
LC_ALL=C awk -v w=$width -v h=$height 'BEGIN { for (y = 0; y < h; y++) for (x = 0; x < w; x++) {
  d = (x - 150) ^ 2 + (y - 110) ^ 2 < 60 ^ 2 ? 110 : 0; v = int(40 + x / 4 + y / 8 + d); printf "%c%c%c", v, v - 10, v - 20 } }' >"$frame"

# PLATFORM COMPILER RUNNER [publish options]
try() {
  local platform=$1 compiler=$2 runner=$3 folder=$out/$1 message
  shift 3
  dotnet publish samples/CLibrary -c Release -r "linux-$platform" -p:PublishAot=true "$@" -o "$folder" >"$folder.log" 2>&1 || {
    grep -E 'error|warning' "$folder.log" | sort -u | head -20
    echo "$platform: the library was not built, see $folder.log"
    return 1
  }
  $compiler -std=c11 -Wall -Wextra -Werror -O2 -Isamples/CLibrary samples/CLibrary/example.c "$folder/libmamba.so" -Wl,-rpath,"$folder" -o "$folder/example"
  readelf -d "$folder/example" | grep -qF '[libmamba.so]' || { echo "$platform: the example does not find the library by name"; return 1; }
  $compiler -std=c11 -Wall -Wextra -Werror -fsyntax-only -x c samples/CLibrary/mamba.h
  $runner "$folder/example" "$weights" "$frame" $width $height "$folder/mask.pgm" | tee "$folder/result.txt"
  # Wrong weights and a frame that is cut short end with a message and status 1, not with a signal.
  if message=$($runner "$folder/example" "$frame" "$frame" $width $height 2>&1); then echo "$platform: bad weights were taken"; return 1; fi
  echo "$message"
  if message=$($runner "$folder/example" "$weights" samples/CLibrary/mamba.h $width $height 2>&1); then echo "$platform: a cut frame was taken"; return 1; fi
  echo "$message"
  dotnet publish samples/EmbeddedSegmenter -c Release -r "linux-$platform" -p:PublishAot=true -p:Weights="$weights" "$@" \
    -o "$folder/sample" >"$folder.sample.log" 2>&1 || { grep -E 'error|warning' "$folder.sample.log" | sort -u | head; return 1; }
  $runner "$folder/sample/EmbeddedSegmenter" "$frame" ${width}x$height rgb24 | tee "$folder/sample.txt"
  [ "$(sed -n 's/^frame 0: \([0-9]*\) pixels.*/\1/p' "$folder/sample.txt")" = "$(sed -n 's/^\([0-9]*\) of .*/\1/p' "$folder/result.txt")" ] || {
    echo "$platform: the sample and the C example differ"
    return 1
  }
  echo "$platform: $(stat -c %s "$folder/libmamba.so") bytes, sha256 of the mask $(sha256sum <"$folder/mask.pgm" | cut -c 1-16)"
}

[ "$only" = arm64 ] || try x64 gcc ""
if [ "$only" = x64 ]; then exit 0; fi
if ! command -v aarch64-linux-gnu-gcc >/dev/null || ! command -v qemu-aarch64-static >/dev/null; then
  echo "arm64: skipped, no aarch64-linux-gnu-gcc or qemu-aarch64-static (apt-get install gcc-aarch64-linux-gnu qemu-user-static)"
  exit 0
fi
# The build calls the linker as clang; the cross gcc knows its target by itself.
wrapper=$out/arm64-link
printf '%s\n' '#!/usr/bin/env bash' 'for a; do case $a in --target=*) ;; *) set -- "$@" "$a" ;; esac; shift; done' \
  'exec aarch64-linux-gnu-gcc "$@"' >"$wrapper"
chmod +x "$wrapper"
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
try arm64 aarch64-linux-gnu-gcc qemu-aarch64-static -p:CppCompilerAndLinker="$wrapper" -p:LinkerFlavor=bfd \
  -p:ObjCopyName=aarch64-linux-gnu-objcopy
if [ -z "$only" ]; then
  MAMBA_ISA=v128 "$out/x64/example" "$weights" "$frame" $width $height "$out/x64/mask128.pgm" >/dev/null
  cmp "$out/x64/mask128.pgm" "$out/arm64/mask.pgm"
  echo "x64 and arm64 give the same mask at 128 bits"
fi
