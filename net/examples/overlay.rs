//! One node of two with an overlay and a pod, in the network namespace it is started in: what the bench of the overlay runs.
//!
//! `overlay DIRECTORY NUMBER PEER MTU`: nodes are numbered, listen on `192.0.2.NUMBER:7444`, and find each other's identities in the
//! directory. The pod's namespace is `DIRECTORY/NUMBER/netns/pod`.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use ipnet::IpNet;
use net::{
    Identity, Overlay, OverlayConfig, OverlayPeer, PathState, PodNetwork, PodNetworkConfig, pod::overlay_address,
};
use tokio::sync::watch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [directory, number, peer, mtu] = &words[..] else { return Err("overlay DIRECTORY NUMBER PEER MTU".into()) };
    let (directory, mtu) = (Path::new(directory), mtu.parse()?);
    let ranges = vec![range(number)?];
    let state_dir = directory.join(number);
    let identity = Identity::load_or_create(&state_dir, &mut rand::rng())?;
    let pods = PodNetwork::open(PodNetworkConfig { ranges: ranges.clone(), state_dir, mtu: u32::from(mtu) })?;
    let attachment = pods.attach("pod").await?;
    let other = loop {
        match Identity::load(&directory.join(peer))? {
            Some(other) => break other,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let peer = OverlayPeer {
        id: other.id(),
        key: other.fingerprint(),
        addresses: vec![listen(peer)?],
        pod_ranges: vec![range(peer)?],
    };
    let addresses = ranges.iter().filter_map(|range| overlay_address(*range)).collect();
    let config = OverlayConfig { listen: listen(number)?, identity: Arc::new(identity), ranges, addresses, mtu };
    let (_peers, following) = watch::channel(vec![peer]);
    let mut overlay = Overlay::start(config, following)?;
    overlay.paths().wait_for(|paths| paths.values().all(|state| *state == PathState::Alive)).await?;
    println!("connected; the pod has {:?}", attachment.addresses);
    tokio::select! {
        () = overlay.ended() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    println!("{:?}", overlay.counters());
    overlay.stop().await;
    Ok(pods.dismantle().await?)
}

fn range(number: &str) -> Result<IpNet, ipnet::AddrParseError> {
    format!("10.42.{number}.0/24").parse()
}

fn listen(number: &str) -> Result<SocketAddr, std::net::AddrParseError> {
    format!("192.0.2.{number}:7444").parse()
}
