//! The TUN device, where pods' packets for other nodes come out and go in, and the routes that lead there. Main type: [`Device`].
//!
//! The kernel hands over super-packets of up to 64 KiB and takes them back (`vnet_hdr`), so that it runs once per batch.

use std::{collections::BTreeSet, io, net::IpAddr};

use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use tokio::sync::Mutex;
use tun_rs::{AsyncDevice, DeviceBuilder, GROTable, IDEAL_BATCH_SIZE, VIRTIO_NET_HDR_LEN};

use super::tunnel::BATCH;
use crate::netlink::{Netlink, Route, Target};

/// Name of the device. One per network namespace: it belongs to the node.
pub const OVERLAY_LINK: &str = "mesh0";

/// Bytes of the largest packet, super or not.
const PACKET_MAX: usize = 65_535;

/// Routes of this metric hold what would otherwise leave in clear by a default route while the device is gone.
const GUARD_METRIC: u32 = 8_192;

/// See the module.
pub(super) struct Device {
    tun: AsyncDevice,
    mtu: u16,
    writer: Mutex<Writer>,
}

/// What writing needs, shared by all tunnels: buffers with room for a super-packet each.
struct Writer {
    table: GROTable,
    buffers: Vec<BytesMut>,
    spare: Vec<BytesMut>,
}

/// What reading needs.
pub(super) struct Reader {
    raw: Vec<u8>,
    packets: Vec<Vec<u8>>,
    lengths: Vec<usize>,
    /// Where packets lie that have been read and not sent.
    arena: BytesMut,
}

impl Reader {
    pub(super) fn new(mtu: u16) -> Self {
        Self {
            raw: vec![0; VIRTIO_NET_HDR_LEN + PACKET_MAX],
            packets: vec![vec![0; usize::from(mtu)]; IDEAL_BATCH_SIZE],
            lengths: vec![0; IDEAL_BATCH_SIZE],
            arena: BytesMut::new(),
        }
    }
}

impl Device {
    /// Makes the device in the calling thread's network namespace; it ends with this process.
    pub(super) fn open(mtu: u16, addresses: &[IpAddr]) -> io::Result<Self> {
        let tun = DeviceBuilder::new().name(OVERLAY_LINK).mtu(mtu).offload(true).enable(false).build_async()?;
        let mut netlink = Netlink::open()?;
        let link = link(&mut netlink)?;
        addresses.iter().try_for_each(|address| netlink.add_address(link, *address))?;
        netlink.set_up(link, Some(u32::from(mtu)))?;
        let writer = Writer { table: GROTable::default(), buffers: Vec::new(), spare: Vec::new() };
        Ok(Self { tun, mtu, writer: Mutex::new(writer) })
    }

    /// Largest packet, in bytes.
    pub(super) fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Waits for packets; what one read gives belongs to one flow.
    pub(super) async fn read(&self, reader: &mut Reader, batch: &mut Vec<Bytes>) -> io::Result<()> {
        let Reader { raw, packets, lengths, arena } = reader;
        let count = self.tun.recv_multiple(raw, packets, lengths, 0).await?;
        for (packet, length) in packets.iter().zip(lengths).take(count) {
            if arena.capacity() < *length {
                arena.reserve(2 * PACKET_MAX);
            }
            arena.extend_from_slice(&packet[..*length]);
            batch.push(arena.split().freeze());
        }
        Ok(())
    }

    /// Writes packets; those of one flow that follow each other become one super-packet.
    pub(super) async fn write(&self, packets: impl Iterator<Item = impl AsRef<[u8]>>) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        let Writer { table, buffers, spare } = &mut *writer;
        for packet in packets {
            let mut buffer =
                spare.pop().unwrap_or_else(|| BytesMut::with_capacity(VIRTIO_NET_HDR_LEN + PACKET_MAX + 1));
            buffer.clear();
            buffer.resize(VIRTIO_NET_HDR_LEN, 0);
            buffer.extend_from_slice(packet.as_ref());
            buffers.push(buffer);
        }
        let written = match buffers.is_empty() {
            true => Ok(0),
            false => self.tun.send_multiple(table, buffers, VIRTIO_NET_HDR_LEN).await,
        };
        spare.append(buffers);
        spare.truncate(BATCH);
        written.map(drop)
    }
}

fn link(netlink: &mut Netlink) -> io::Result<u32> {
    netlink.link(OVERLAY_LINK)?.ok_or_else(|| io::Error::other("the TUN device was removed by somebody else"))
}

/// Makes the kernel's routes over the device those of `wanted`, where `present` are there.
pub(super) fn set_routes(present: &BTreeSet<IpNet>, wanted: &BTreeSet<IpNet>, addresses: &[IpAddr]) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let link = link(&mut netlink)?;
    for gone in present.difference(wanted) {
        remove_routes(&mut netlink, *gone)?;
    }
    for new in wanted.difference(present) {
        let source = addresses.iter().copied().find(|address| address.is_ipv4() == new.addr().is_ipv4());
        netlink.set_route(&Route { target: Target::Discard, metric: GUARD_METRIC, ..Route::new(*new) })?;
        netlink.set_route(&Route { target: Target::Link(link), source, ..Route::new(*new) })?;
    }
    Ok(())
}

/// Takes all these routes away, the guarding ones too.
pub(super) fn clear_routes(present: &BTreeSet<IpNet>) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    present.iter().try_for_each(|range| remove_routes(&mut netlink, *range))
}

/// A route goes by its metric; the kernel takes the lowest that is there.
fn remove_routes(netlink: &mut Netlink, range: IpNet) -> io::Result<()> {
    netlink.delete_route(range)?;
    netlink.delete_route(range)
}
