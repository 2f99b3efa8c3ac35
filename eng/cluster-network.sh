#!/usr/bin/env bash
# Trains on a cluster whose machines are network namespaces of this one: each has a share of a core, and a link of so many Mbit/s
# to a switch. What docs/cluster.md says about networks is measured with it. Needs root and iproute2.
#
#   eng/cluster-network.sh MACHINES MBIT CORES TRAIN-OPTION...
#   eng/cluster-network.sh 3 1000 0.25 --data synthetic --model unet --size 64x64 --batch 8 --shard 1 --limit 40 --epochs 2
#
# CUT="MACHINE FROM TO" takes a machine off the network (0 is the coordinator) from second FROM to second TO after the start.
# REDIS=1 keeps the membership in a Redis on a machine of its own, which is always in the network.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
program=${MAMBA_CLUSTER_PROGRAM:-$root/Mamba.Cli/Cluster/bin/Release/net10.0/mamba-cluster.dll}
machines=$1 mbit=$2 cores=$3
shift 3
work=$(mktemp -d)
name=mamba$$ # of namespaces and groups; interfaces have at most 15 letters
group=/sys/fs/cgroup/cpu/$name
[ -d /sys/fs/cgroup/cpu ] || group=/sys/fs/cgroup/$name
period=10000 # microseconds: short, so that a machine is slow and does not stop and go

clean() {
  set +e
  for pids in $(ip netns list | awk -v n="$name-" 'index($1, n) == 1 { print $1 }'); do
    ip netns pids "$pids" | xargs -r kill -KILL
    ip netns del "$pids"
  done
  [ -z "${cutter:-}" ] || kill "$cutter" 2>/dev/null
  wait 2>/dev/null
  ip link del "$name" 2>/dev/null
  sleep 1
  rmdir "$group"-* 2>/dev/null
  rm -rf "$work"
}
trap clean EXIT

# Machine I is 10.77.0.(10 + I); its link is shaped on both ends, and queues 50 ms at most.
machine() {
  ip netns add "$name-$1"
  ip link add "$name.$1" type veth peer name eth0 netns "$name-$1"
  ip link set "$name.$1" master "$name" up
  ip -n "$name-$1" addr add "10.77.0.$((10 + $1))/24" dev eth0
  ip -n "$name-$1" link set eth0 up
  ip -n "$name-$1" link set lo up
  tc qdisc add dev "$name.$1" root tbf rate "${mbit}mbit" burst 256kb latency 50ms
  tc -n "$name-$1" qdisc add dev eth0 root tbf rate "${mbit}mbit" burst 256kb latency 50ms
  mkdir -p "$group-$1"
  local quota
  quota=$(awk -v c="$cores" -v p=$period 'BEGIN { printf "%d", c * p }')
  if [ -e "$group-$1/cpu.max" ]; then echo "$quota $period" > "$group-$1/cpu.max"
  else echo $period > "$group-$1/cpu.cfs_period_us"; echo "$quota" > "$group-$1/cpu.cfs_quota_us"; fi
}

# Runs a command on machine I.
on() {
  local i=$1
  shift
  (
    echo "$BASHPID" > "$group-$i/cgroup.procs"
    exec ip netns exec "$name-$i" "$@"
  )
}

ip link add "$name" type bridge
ip link set "$name" up
for i in $(seq 0 $((machines - 1))); do machine "$i"; done
if [ -n "${REDIS:-}" ]; then
  machine 99
  on 99 redis-server --bind 10.77.0.109 --protected-mode no --save "" --dir "$work" > "$work/redis.log" &
  export MAMBA_CLUSTER_REDIS=10.77.0.109:6379
fi
for i in $(seq 1 $((machines - 1))); do
  on "$i" dotnet "$program" node --coordinator 10.77.0.10 --host "10.77.0.$((10 + i))" --name "machine$i" --threads 1 \
    < /dev/null > "$work/node$i.log" 2>&1 &
done
if [ -n "${CUT:-}" ]; then
  read -r cut from to <<< "$CUT"
  (
    sleep "$from"; ip link set "$name.$cut" down; echo "--- machine $cut is cut off"
    sleep $((to - from)); ip link set "$name.$cut" up; echo "--- machine $cut is back"
  ) &
  cutter=$!
fi
code=0
on 0 dotnet "$program" train --host 10.77.0.10 --nodes $((machines - 1)) --threads 1 --out "$work/run" "$@" || code=$?
sleep 1
for i in $(seq 1 $((machines - 1))); do sed "s/^/[$i] /" "$work/node$i.log"; done
[ ! -f "$work/run/results.csv" ] || cat "$work/run/results.csv"
[ ! -f "$work/run/weights/last.safetensors" ] || echo "last.safetensors $(sha256sum < "$work/run/weights/last.safetensors")"
exit $code
