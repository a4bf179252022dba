#!/bin/sh
# Measures the overlay between two nodes on this machine: Gbit/s, CPU of both ends per GB, ping. Needs root and iperf3.
#   net/examples/overlay.sh PATH-OF-THE-EXAMPLE [MTU [SECONDS]]
set -eu
program=$1 mtu=${2:-1280} seconds=${3:-5}
directory=$(mktemp -d)
hertz=$(getconf CLK_TCK)
cleanup() {
    kill $server 2>/dev/null || true
    kill -INT $ends 2>/dev/null || true
    wait 2>/dev/null || true
    ip netns del mesh-bench-1 2>/dev/null || true
    ip netns del mesh-bench-2 2>/dev/null || true
    cat "$directory"/*.log
    rm -rf "$directory"
}
ends= server=
trap cleanup EXIT
for node in 1 2; do
    ip netns add mesh-bench-$node
    ip -n mesh-bench-$node link set lo up
done
ip link add up0 netns mesh-bench-1 type veth peer name up0 netns mesh-bench-2
for node in 1 2; do
    ip -n mesh-bench-$node addr add 192.0.2.$node/24 dev up0
    ip -n mesh-bench-$node link set up0 up
    nsenter --net=/run/netns/mesh-bench-$node "$program" "$directory" $node $((3 - node)) "$mtu" >"$directory/$node.log" 2>&1 &
    ends="$ends $!"
done
until grep -q connected "$directory/1.log" && grep -q connected "$directory/2.log"; do sleep 0.1; done
in_pod() { pod=$1; shift; nsenter --net="$directory/$pod/netns/pod" "$@"; }
cpu() { for end in $ends; do cut -d')' -f2- /proc/$end/stat; done | awk -v hertz="$hertz" '{ used += $12 + $13 } END { print used / hertz }'; }
nsenter --net="$directory/2/netns/pod" iperf3 -s >/dev/null 2>&1 &
server=$!
sleep 0.5
measure() {
    name=$1; shift
    before=$(cpu)
    in_pod 1 iperf3 -c 10.42.2.2 -t "$seconds" -J "$@" >"$directory/result"
    after=$(cpu)
    python3 - "$name" "$before" "$after" "$directory/result" <<'EOF'
import json, sys
name, before, after, path = sys.argv[1:]
end = json.load(open(path))["end"]
got = end.get("sum_received") or end["sum"]
if "lost_percent" in end.get("sum", {}):
    loss = "lost %.1f %%" % end["sum"]["lost_percent"]
else:
    loss = "retransmitted %s" % end["sum_sent"].get("retransmits")
print("%-16s %6.2f Gbit/s  %5.2f CPU-s/GB  %s" % (name, got["bits_per_second"] / 1e9, (float(after) - float(before)) / (got["bytes"] / 1e9), loss))
EOF
}
if command -v ping >/dev/null; then in_pod 1 ping -q -c 200 -i 0.005 10.42.2.2 | tail -1; fi
measure "TCP, 1 flow"
measure "TCP, 4 flows" -P 4
measure "TCP, reverse" -R
measure "UDP, 1 Gbit/s" -u -b 1G -l 1200
