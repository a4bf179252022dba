#!/bin/sh
# One node in a container: containerd, then mesh, until the container is stopped.
#
#   MESH_FOUND=yes       found the cluster where there is none yet, and leave lines for joiners in /join
#   MESH_SEEDS=a:7443 …  members to join through, with the token in /join
#
# A node that is a member already goes on where it was, whatever these say.
set -eu

token=/join/token
data=/var/lib/mesh

# Waits until a command succeeds; gives up after a minute.
await() {
    tries=0
    until "$@" > /dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "node.sh: gave up waiting for: $*" >&2; exit 1; }
        sleep 0.2
    done
}

# A token for those who join, renewed well before it ends: the file appears whole or not at all.
offer() {
    await mesh status
    while :; do
        mesh token create | sed -n 's/.*--token \([^ ]*\).*/\1/p' > $token.new && mv $token.new $token
        sleep 43200
    done
}

start() {
    if [ -e $data/member.json ]; then
        exec mesh up
    elif [ "${MESH_FOUND:-}" = yes ]; then
        offer &
        exec mesh up
    fi
    await test -s $token
    MESH_TOKEN=$(cat $token)
    export MESH_TOKEN
    # One name after the other, as they are told.
    # shellcheck disable=SC2086
    exec mesh join ${MESH_SEEDS:?names the members to join through}
}

umask 077
mount --make-rshared /
# Forwarding and proxy ARP of this container's own network; an engine leaves them read-only.
mount -o remount,bind,rw /proc/sys
containerd &
await ctr version
start &
node=$!
trap 'kill -TERM $node' TERM INT
# The first wait ends with the signal, the second with the node.
wait $node || true
wait $node
