//! Which endpoints a packet may go to from here: readiness, policy, topology and reach, as a pure function.
//! Main type: [`Choice`].
//!
//! Upstream's rules (ready, else serving and terminating; hints only where every ready endpoint has them; see
//! <https://kubernetes.io/docs/concepts/services-networking/service/#traffic-policies>), and one of ours: endpoints on nodes
//! whose path from here is dead come last. Nothing better left, they are used all the same: it may be the path's
//! judge who errs, and no endpoint would be worse (fail open).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::objects::Endpoint;

/// What this node knows of itself and of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// This node's name.
    pub node: String,
    /// This node's zone; empty where it has none.
    pub zone: String,
    /// Names of the nodes that cannot be reached from here.
    pub dead: BTreeSet<String>,
}

/// Whose endpoints count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All nodes'.
    Cluster,
    /// This node's.
    Local,
}

/// Where the packets of new connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To one of these; never empty.
    Endpoints(Vec<SocketAddr>),
    /// There is no endpoint anywhere: say so to the client.
    Nowhere,
    /// There is none on this node, and the policy forbids others: upstream drops, so that balancers turn away.
    NotHere,
}

/// A Service port's endpoint: where to, and what its slice says.
pub type Candidate<'a> = (SocketAddr, &'a Endpoint);

/// Chooses among the endpoints of one Service port and family.
pub fn choose(candidates: &[Candidate<'_>], policy: Policy, around: &Surroundings) -> Choice {
    let ready = |one: &Endpoint| one.ready;
    let ending = |one: &Endpoint| one.serving && one.terminating;
    let live = |one: &Endpoint| one.node.as_ref().is_none_or(|node| !around.dead.contains(node));
    let here = |one: &Endpoint| one.node.as_ref() == Some(&around.node);
    let wanted: Vec<Vec<SocketAddr>> = match policy {
        Policy::Local => {
            vec![pick(candidates, |one| here(one) && ready(one)), pick(candidates, |one| here(one) && ending(one))]
        }
        Policy::Cluster => vec![
            hinted(candidates, |one| ready(one) && live(one), around),
            pick(candidates, |one| ready(one) && live(one)),
            pick(candidates, |one| ending(one) && live(one)),
            pick(candidates, ready),
            pick(candidates, ending),
        ],
    };
    if let Some(best) = wanted.into_iter().find(|some| !some.is_empty()) {
        return Choice::Endpoints(best);
    }
    let elsewhere = policy == Policy::Local && candidates.iter().any(|(_, one)| ready(one) || ending(one));
    if elsewhere { Choice::NotHere } else { Choice::Nowhere }
}

fn pick(candidates: &[Candidate<'_>], fits: impl Fn(&Endpoint) -> bool) -> Vec<SocketAddr> {
    let fitting: BTreeSet<_> = candidates.iter().filter(|(_, one)| fits(one)).map(|(to, _)| *to).collect();
    fitting.into_iter().collect()
}

/// One of an endpoint's lists of those that should use it.
type Hints = fn(&Endpoint) -> &Vec<String>;

/// Those meant for this node, else for this zone, where every fitting endpoint says for whom it is.
fn hinted(candidates: &[Candidate<'_>], fits: impl Fn(&Endpoint) -> bool, around: &Surroundings) -> Vec<SocketAddr> {
    let scopes: [(Hints, &String); 2] = [(|one| &one.nodes, &around.node), (|one| &one.zones, &around.zone)];
    for (hints, own) in scopes {
        let all_say = candidates.iter().filter(|(_, one)| fits(one)).all(|(_, one)| !hints(one).is_empty());
        let ours = if all_say { pick(candidates, |one| fits(one) && hints(one).contains(own)) } else { Vec::new() };
        if !ours.is_empty() {
            return ours;
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ready`, `ending` or `gone`, on a node, meant for a zone.
    fn endpoint(state: &str, node: &str, zone: &str) -> Endpoint {
        Endpoint {
            address: "10.42.0.1".parse().unwrap(),
            ready: state == "ready",
            serving: state != "gone",
            terminating: state != "ready",
            node: Some(node.into()),
            zones: if zone.is_empty() { Vec::new() } else { vec![zone.into()] },
            nodes: Vec::new(),
        }
    }

    /// Endpoints are `(state, node, zone)`; their ports are 1, 2, 3...
    fn check(policy: Policy, dead: &[&str], endpoints: &[(&str, &str, &str)], expect: &[u16]) {
        let around = Surroundings {
            node: "here".into(),
            zone: "a".into(),
            dead: dead.iter().map(|&name| name.to_owned()).collect(),
        };
        let made: Vec<_> = endpoints.iter().map(|(state, node, zone)| endpoint(state, node, zone)).collect();
        let candidates: Vec<_> =
            made.iter().zip(1..).map(|(one, port)| (SocketAddr::new(one.address, port), one)).collect();
        let ports = match choose(&candidates, policy, &around) {
            Choice::Endpoints(some) => some.iter().map(SocketAddr::port).collect(),
            Choice::Nowhere => vec![],
            Choice::NotHere => vec![u16::MAX],
        };
        assert_eq!(ports, expect, "{policy:?} {dead:?} {endpoints:?}");
    }

    #[test]
    fn ready_endpoints_serve_and_ending_ones_only_without_them() {
        check(Policy::Cluster, &[], &[("ready", "n1", ""), ("ending", "n1", ""), ("ready", "n2", "")], &[1, 3]);
        check(Policy::Cluster, &[], &[("ending", "n1", ""), ("gone", "n2", "")], &[1]);
        check(Policy::Cluster, &[], &[("gone", "n2", "")], &[]);
        check(Policy::Cluster, &[], &[], &[]);
    }

    #[test]
    fn endpoints_on_dead_nodes_come_last_but_before_none() {
        check(Policy::Cluster, &["n1"], &[("ready", "n1", ""), ("ready", "n2", "")], &[2]);
        check(Policy::Cluster, &["n1"], &[("ready", "n1", ""), ("ending", "n2", "")], &[2]);
        check(Policy::Cluster, &["n1", "n2"], &[("ready", "n1", ""), ("ready", "n2", "")], &[1, 2]);
        check(Policy::Cluster, &["n1"], &[("ending", "n1", "")], &[1]);
    }

    #[test]
    fn a_local_policy_never_leaves_the_node() {
        check(Policy::Local, &[], &[("ready", "here", ""), ("ready", "n2", "")], &[1]);
        check(Policy::Local, &[], &[("ending", "here", ""), ("ready", "n2", "")], &[1]);
        check(Policy::Local, &[], &[("ready", "n2", "")], &[u16::MAX]);
        check(Policy::Local, &[], &[("gone", "n2", "")], &[]);
    }

    #[test]
    fn hints_count_where_every_ready_endpoint_has_one() {
        check(Policy::Cluster, &[], &[("ready", "n1", "a"), ("ready", "n2", "b")], &[1]);
        check(Policy::Cluster, &[], &[("ready", "n1", "a"), ("ready", "n2", "")], &[1, 2]);
        check(Policy::Cluster, &[], &[("ready", "n1", "b"), ("ready", "n2", "b")], &[1, 2]);
        check(Policy::Cluster, &["n1"], &[("ready", "n1", "a"), ("ready", "n2", "b")], &[2]);
    }
}
