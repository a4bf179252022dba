//! One round of `mesh ping`: the node asks a member at both of its endpoints. Main type: [`Pinged`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use actors::context::Context;
use actors::echo;
use anyhow::{Result, anyhow, bail};
use membership::Member;
use net::pod::overlay_address;
use serde::{Deserialize, Serialize};

/// What came back from a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pinged {
    /// Its name.
    pub(crate) name: String,
    /// Its control endpoint.
    pub(crate) control_address: Option<SocketAddr>,
    /// Its pods' endpoint, and its address within the cluster; absent where it or this node runs no pods.
    pub(crate) pods_address: Option<(SocketAddr, IpAddr)>,
    /// A question over the control endpoint.
    pub(crate) control: Sounding,
    /// A packet through the pods' tunnel; absent as above.
    pub(crate) pods: Option<Sounding>,
    /// How far its clock is ahead of ours, in milliseconds.
    pub(crate) ahead_millis: Option<i64>,
    /// The last entry that it has applied.
    #[serde(default)]
    pub(crate) applied: Option<u64>,
}

/// Microseconds there and back, or why nothing came.
pub(crate) type Sounding = std::result::Result<u64, String>;

/// Asks the member of this name, at both endpoints at once.
pub(crate) async fn ping(context: &Context, name: &str, limit: Duration) -> Result<Pinged> {
    let members = members(context);
    let Some(member) = members.iter().find(|member| member.name == name || member.id.to_string() == name) else {
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        bail!("there is no member {name:?}, only {}", names.join(", "));
    };
    Ok(sound(context, member, limit).await)
}

/// All members, as this node knows them.
pub(crate) fn members(context: &Context) -> Vec<Member> {
    context.feed.borrow().as_ref().map(|feed| feed.members.clone()).unwrap_or_default()
}

/// Asks a member at both endpoints at once.
pub(crate) async fn sound(context: &Context, member: &Member, limit: Duration) -> Pinged {
    let inner = member.pod_ranges.iter().find_map(|range| overlay_address(*range));
    let pods_address = member.pod_addresses.first().copied().zip(inner).filter(|_| context.config.pods);
    let through_tunnel = async {
        let (_, inner) = pods_address?;
        let asked = tokio::task::spawn_blocking(move || net::icmp::echo(inner, limit));
        Some(match asked.await {
            Ok(Ok(took)) => Ok(micros(took)),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::TimedOut => Err("no answer".into()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        })
    };
    let (heard, pods) = tokio::join!(echo::ask(context, member.id, limit), through_tunnel);
    let heard = heard.map_err(|error| crate::telemetry::chain(&anyhow!(error)));
    Pinged {
        name: member.name.clone(),
        control_address: member.addresses.first().copied(),
        pods_address,
        ahead_millis: heard.as_ref().ok().map(|heard| heard.ahead_millis),
        applied: heard.as_ref().ok().and_then(|heard| heard.applied),
        control: heard.map(|heard| micros(heard.round_trip)),
        pods,
    }
}

fn micros(period: Duration) -> u64 {
    u64::try_from(period.as_micros()).unwrap_or(u64::MAX)
}
