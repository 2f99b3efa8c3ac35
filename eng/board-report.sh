#!/usr/bin/env bash
# Measures the small models on a board and writes a page of results. Needs the program and a shell, nothing else.
# usage: board-report.sh [PROGRAM] [PAGE]  default ./mamba and ./board-report.md
#        GOLDENS=DIR also verifies operators and models; SECONDS_PER_MODEL=3; EMULATOR=qemu-aarch64-static tries it without a board
set -euo pipefail
program=${1:-./mamba}
page=${2:-./board-report.md}
seconds=${SECONDS_PER_MODEL:-3}
emulator=${EMULATOR:-}
models='ul-vm-unet ul-vm-unet-v1 ul-vm-unet-v2 ul-vm-unet-v3 ul-vm-unet-v4 ul-vm-unet-v5 ul-vm-unet-v6 resnet20 vim-patch8-1000 vim vit-patch8 vit'
[ -x "$program" ] || { echo "board-report.sh: no program '$program'; usage: board-report.sh PROGRAM [PAGE]" >&2; exit 2; }
# shellcheck disable=SC2086 # an empty emulator is no word
mamba() { $emulator "$program" "$@"; }

# first FILE...: the text of the first file that can be read, without zeros at its end; a dash without one.
first() {
  local file
  for file; do
    if [ -r "$file" ]; then tr -d '\0' <"$file" | head -n 1; return; fi
  done
  echo -
}

# Degrees of each sensor that tells, e.g. "cpu-thermal 48.3 C".
temperatures() {
  local zone text=
  for zone in /sys/class/thermal/thermal_zone*; do
    [ -r "$zone/temp" ] && text+="${text:+, }$(first "$zone/type") $(awk '{ printf "%.1f C", $1 / 1000 }' "$zone/temp" 2>/dev/null)"
  done
  echo "${text:--}"
}

# MHz of each group of cores, now.
clocks() {
  local policy text=
  for policy in /sys/devices/system/cpu/cpufreq/policy*; do
    [ -r "$policy/scaling_cur_freq" ] || continue
    text+="${text:+, }cores $(first "$policy/related_cpus"): $(($(first "$policy/scaling_cur_freq") / 1000)) of $(($(first "$policy/cpuinfo_max_freq") / 1000)) MHz"
  done
  [ -n "$text" ] || text=$(awk -F: '/^cpu MHz/ { printf "%.0f MHz", $2; exit }' /proc/cpuinfo 2>/dev/null)
  echo "${text:--}"
}

# field NAME DECIMALS [FACTOR]: a number of $json; a dash where it is null.
field() {
  local value
  value=$(sed -n "s/.*\"$1\": *\([-0-9.eE+]*\).*/\1/p" <<<"$json" | head -n 1)
  if [ -n "$value" ]; then awk -v v="$value" "BEGIN { printf \"%.$2f\", v * ${3:-1} }"; else echo -; fi
}

measure() {
  local threads=$1 model json
  echo "| model | ms median | ms min | images/s | GFLOP/s | % of peak | MB | temperature | clock |"
  echo "|---|---:|---:|---:|---:|---:|---:|---|---|"
  for model in $models; do
    echo "$model, $threads" >&2
    json=$(mamba bench --model "$model" --threads "$threads" --seconds "$seconds" --json)
    echo "| $model | $(field ms_median 2) | $(field ms_min 2) | $(field images_per_second 1) | $(field gflops 1) | $(field peak_share 0 100)" \
      "| $(field peak_rss_mb 0) | $(temperatures) | $(clocks) |"
  done
}

threads=$(nproc)
{
  echo "# Small models on a board"
  echo
  if [ -n "$emulator" ]; then
    echo "**Unmeasured**: this page was written under $emulator. The program ran; its times say nothing of a board."
  else
    echo "Measured on $(date -u +%Y-%m-%d) by \`eng/board-report.sh\`."
  fi
  echo
  echo "| | |"
  echo "|---|---|"
  echo "| board | $(first /proc/device-tree/model /sys/class/dmi/id/product_name) |"
  echo "| processor | $(awk -F': *' '/^(model name|Model|Hardware)/ { print $2; exit }' /proc/cpuinfo 2>/dev/null || echo -) |"
  echo "| machine, kernel | $(uname -m), $(uname -r) |"
  echo "| cores | $threads |"
  echo "| memory | $(awk '/^MemTotal/ { printf "%.0f MiB", $2 / 1024 }' /proc/meminfo 2>/dev/null || echo -) |"
  echo "| governor | $(first /sys/devices/system/cpu/cpufreq/policy0/scaling_governor) |"
  echo "| temperature before | $(temperatures) |"
  echo "| clock before | $(clocks) |"
  echo "| program | $(($(stat -c %s "$program") / 1000)) kB |"
  echo "| vectors, FMA peak | $(mamba bench --model resnet20 --threads 1 --seconds 0.1 | sed -n 's/^threads: 1, vectors: \(.*\), inference$/\1/p') |"
  if [ -n "${GOLDENS:-}" ]; then
    echo "| verify | $(mamba verify "$GOLDENS" | tail -n 1) |"
  else
    echo "| verify | not run; GOLDENS names no folder |"
  fi
  echo
  echo "One image on one thread:"
  echo
  measure 1
  if [ "$threads" -gt 1 ]; then
    echo
    echo "One image on $threads threads:"
    echo
    measure "$threads"
  fi
} >"$page"
echo "$page"
