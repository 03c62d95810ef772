#!/usr/bin/env bash
# Builds a lab and keeps it alive; started by lab.sh as process 1 of new namespaces. When it goes, all goes.
# usage: switch.sh STATE NAME HOSTS FOLDER BANDWIDTH DELAY; prints its process id, as lab.sh sees it, when all is ready.
set -euo pipefail

state=$1 name=$2 hosts=$3 folder=$4 bandwidth=$5 delay=$6

# /proc is still the one of lab.sh.
read -r outer_pid _ </proc/self/stat
mount -t proc proc /proc

limit() { # command prefix, interface, delay: of what leaves through the interface
  local prefix=$1 interface=$2 delay=$3 parent=root rate burst
  if [ -n "$delay" ]; then
    # shellcheck disable=SC2086 # a command
    $prefix tc qdisc add dev "$interface" root handle 1: netem delay "$delay" limit 100000
    parent="parent 1:1"
  fi
  if [ -n "$bandwidth" ]; then
    case $bandwidth in
      *kbit) rate=$((${bandwidth%kbit} * 1000)) ;;
      *mbit) rate=$((${bandwidth%mbit} * 1000000)) ;;
      *gbit) rate=$((${bandwidth%gbit} * 1000000000)) ;;
    esac
    # 10 ms: the kernel's clock may tick only 100 times per second. And not less than the largest packet.
    burst=$((rate / 800))
    ((burst >= 131072)) || burst=131072
    # shellcheck disable=SC2086 # words
    $prefix tc qdisc add dev "$interface" $parent tbf rate "$bandwidth" burst "$burst" latency 50ms
  fi
}

ip link set lo up
ip link add switch type bridge
ip link set switch up
mount --rbind "$folder" "$state/folder"

for ((host = 1; host <= hosts; host++)); do
  # A process that does nothing, and whose namespaces are the host. When it has said a word, they are there.
  exec {word}< <(exec unshare --net --uts --ipc --mount bash -c 'echo; exec -a lab-host sleep infinity')
  holder=$!
  read -r _ <&"$word"
  exec {word}<&-
  echo "$holder" >"$state/host-$host"
  on_host="nsenter --target $holder --net --uts --mount"

  $on_host ip link add eth0 type veth peer name "port$host" netns 1
  ip link set "port$host" master switch
  ip link set "port$host" up
  $on_host ip address add "10.77.0.$host/24" dev eth0
  $on_host ip link set lo up
  $on_host ip link set eth0 up
  # Both ways, as an interface of that speed.
  limit "$on_host" eth0 "$delay"
  limit "" "port$host" ""

  # shellcheck disable=SC2016 # the host's shell expands
  $on_host bash -euc '
    state=$1 folder=$2 host=$3 name=$4
    echo "$name-$host" >/proc/sys/kernel/hostname
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    mkdir -p "$folder"
    if [ "$host" = 1 ]; then mount --rbind "$state/folder" "$folder"; else mount -t tmpfs tmpfs "$folder"; fi
    umount -l "$state/folder"
    mount --bind "$state/hosts" /etc/hosts
  ' bash "$state" "$folder" "$host" "$name"
done
umount -l "$state/folder"

echo "$outer_pid"
exec >&2
# Process 1 inherits orphans; bash collects them while it waits.
while :; do
  sleep 86400 &
  wait "$!" || true
done
