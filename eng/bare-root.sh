#!/usr/bin/env bash
# Runs every verb of a published program in a bare root: the program and the C library, nothing else. No /proc, no /tmp, no HOME, no TERM,
# no network, a root that cannot be written but for /out. Then on one processor, and with 64 MB of memory.
# A self-contained build is .NET with its compiler: that needs /proc (here without cpuinfo), the C++ library, and more than 64 MB.
# usage: eng/bare-root.sh PROGRAM...       a native program, or the folder of a self-contained build; run as root
set -euo pipefail
[ $# -gt 0 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
if [ -z "${BARE_ROOT_INSIDE:-}" ]; then
  # Mounts of its own, and no network.
  BARE_ROOT_INSIDE=1 exec unshare --mount --net "$0" "$@"
fi
sources=$(cd "$(dirname "$0")/.." && pwd)
reference=${MAMBA_REFERENCE:-}
limit=$((64 * 1024 * 1024))
failed=0
log=$(mktemp)
scratch=$(mktemp -d)
group=
clean_up() {
  cd /
  [ -z "$group" ] || rmdir "$group" 2>/dev/null || true
  leave_root 2>/dev/null || true
  rm -rf "$scratch" "$log"
}
trap clean_up EXIT

leave_root() {
  if [ -d "$scratch/root/proc/self" ]; then umount "$scratch/root/proc/cpuinfo" "$scratch/root/proc"; fi
  umount "$scratch/root/out" "$scratch/root"
}

# The C library: what the loader needs, by name. Anything else that the program needs is missing, and shows.
c_library='^(ld-linux.*|libc|libm|libdl|libpthread|librt)\.so'

build_root() {
  local program=$1 file root=$scratch/root
  mkdir -p "$root"/{bin,data,out,proc}
  if [ -d "$program" ]; then cp -r "$program/." "$root/bin"; else cp "$program" "$root/bin/mamba"; fi
  find "$root/bin" -type f \( -name mamba -o -name '*.so' \) -exec ldd {} + 2>/dev/null | grep -o '/[^ ]*' | sort -u >"$scratch/libraries"
  while read -r file; do
    [[ $(basename "$file") =~ $c_library ]] || { [ -d "$program" ] && [[ $file =~ lib(stdc\+\+|gcc_s)\.so ]]; } || continue
    mkdir -p "$root$(dirname "$file")"
    cp -L "$file" "$root$file"
  done <"$scratch/libraries"
  cp -r "$sources/Mamba.Tests/Fixtures/goldens" "$root/data/goldens"
  # A picture of 256 x 256 pixels: the header of a BMP, and noise.
  { printf 'BM\x36\0\x03\0\0\0\0\0\x36\0\0\0\x28\0\0\0\0\x01\0\0\0\x01\0\0\x01\0\x18\0'
    head -c 24 /dev/zero; head -c $((256 * 256 * 3)) /dev/urandom; } >"$root/data/picture.bmp"
  mount --bind "$root" "$root"
  mount -t tmpfs tmpfs "$root/out"
  if [ -d "$program" ]; then
    mount -t proc proc "$root/proc"
    mount --bind /dev/null "$root/proc/cpuinfo"
  fi
  mount -o remount,bind,ro "$root"
}

# run EXIT_CODE NAME COMMAND...: runs the program in the root; another exit code is a failure.
run() {
  local expected=$1 name=$2 code=0
  shift 2
  "${before[@]}" env -i "${variables[@]}" "$(command -v chroot)" "$scratch/root" /bin/mamba "$@" >"$log" 2>&1 || code=$?
  if [ "$code" = "$expected" ]; then
    echo "  ok: $name"
  else
    echo "  FAILED: $name: exit code $code, expected $expected"
    sed 's/^/    /' "$log" | tail -n 20
    failed=$((failed + 1))
  fi
}

# A group of processes with a limit on their memory, by either version of the kernel's interface.
limit_memory() {
  group=/sys/fs/cgroup/memory/bare-root-$$
  if mkdir "$group" 2>/dev/null && echo "$limit" >"$group/memory.limit_in_bytes" 2>/dev/null; then return; fi
  rmdir "$group" 2>/dev/null || true
  group=/sys/fs/cgroup/bare-root-$$
  if mkdir "$group" 2>/dev/null && echo "$limit" >"$group/memory.max" 2>/dev/null; then return; fi
  rmdir "$group" 2>/dev/null || true
  group=
  return 1
}

every_verb() {
  local weights=/out/run/weights/best.safetensors
  run 0 '--help' --help
  run 0 'models' models
  run 0 'train' train --epochs 2 --limit 24 --size 64 --out /out/run
  run 0 'train --resume' train --resume /out/run --epochs 3
  run 0 'eval' eval --weights "$weights" --data synthetic
  run 0 'infer' infer --weights "$weights" /data/picture.bmp /out/run/samples --out /out/infer
  run 0 'convert' convert "$weights" /out/copy.safetensors
  run 0 'inspect' inspect "$weights"
  run 0 'verify' verify --strict /data/goldens
  run 0 'bench' bench --model ul-vm-unet --seconds 0.2
  run 0 'bench --train' bench --model ul-vm-unet --size 64 --train --seconds 0.2
  run 0 'train vim' train --model vim --epochs 1 --limit 40 --out /out/vim
  run 2 'a folder that cannot be written' train --epochs 1 --limit 24 --size 64 --out /data/run
  run 2 'a file that is missing' infer --weights /data/none.safetensors /data
  rm -rf "$scratch"/root/out/*
}

# What small boards do: inference at full size, training on small images.
small_models() {
  local full=/out/full/weights/best.safetensors
  run 0 'train, 64 x 64' train --epochs 1 --limit 24 --size 64 --out /out/run
  run 0 'infer, 256 x 256' infer --weights "$full" /data/picture.bmp --out /out/infer
  run 0 'eval, 256 x 256' eval --weights "$full" --data synthetic
  run 0 'bench ul-vm-unet' bench --model ul-vm-unet --seconds 0.2
  run 0 'bench vim' bench --model vim --seconds 0.2
  run 0 'verify' verify --strict /data/goldens/ops /data/goldens/models/resnet20.json
  rm -rf "$scratch"/root/out/{run,infer}
}

for program; do
  echo "bare root of $program"
  before=()
  variables=(MAMBA_NOTHING=)
  build_root "$program"
  every_verb
  run 0 'train, 256 x 256' train --epochs 1 --limit 12 --out /out/full
  echo "  on one processor:"
  before=(taskset -c 0)
  small_models
  if [ -d "$program" ]; then
    :
  elif limit_memory; then
    echo "  in 64 MB:"
    before=(sh -c "echo \$\$ >$group/cgroup.procs && exec \"\$@\"" sh)
    small_models
    rmdir "$group" 2>/dev/null || true
    group=
  else
    echo "  in 64 MB: not run; this system limits no memory (no control groups)"
  fi
  leave_root
  rm -rf "$scratch/root"
done
[ "$failed" = 0 ] || { echo "bare root: $failed failed"; exit 1; }
echo "bare root: all ran"
