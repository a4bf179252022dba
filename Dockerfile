# One Mesh node, with the containerd that runs its pods.
#
#   docker build -t mesh .                                    builds the binary in a Rust image: minutes
#
# With the binary at hand, also where no registry is:
#
#   cargo build --locked --profile fast -p mesh && install -D target/fast/mesh target/image/mesh
#   docker build --build-arg BUILDER=debian:bookworm-slim -t mesh .
#
# and where even Debian's image is missing, it can be made from Debian's packages:
#
#   debootstrap --variant=minbase bookworm base && tar -C base -c . | docker import - debian:bookworm-slim

# The binary needs a C library no newer than that of the base.
ARG BASE=debian:bookworm-slim
ARG BUILDER=rust:1.95-bookworm

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN sh packaging/docker/build.sh /mesh

FROM ${BASE}
RUN apt-get update -qq \
    && apt-get install --no-install-recommends -y -qq ca-certificates containerd iproute2 nftables runc \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /mesh /usr/local/bin/mesh
COPY packaging/docker/node.sh /usr/local/bin/node.sh
COPY packaging/docker/containerd.toml /etc/containerd/config.toml

# The node's identity, log and pods; containerd's layers, which cannot lie on the image's own.
VOLUME ["/var/lib/mesh", "/var/lib/containerd"]
EXPOSE 6443/tcp 7443/udp 7444/udp
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node.sh"]
