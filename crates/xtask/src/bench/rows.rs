//! Everything that is measured: [`ROWS`].
//!
//! References were taken on the size of machine that CI has (2 cores), quiet, with TLS and fsync on: kube-apiserver 1.36 with etcd and
//! kube-scheduler. Their memory is that of all of the control plane's processes together.

use super::{
    costs,
    lab::Lab,
    pods,
    row::{Measured, Row},
    times, traffic,
};

/// Units of processor time.
const MICROSECONDS: &str = "us";
const MILLISECONDS: &str = "ms";

/// All rows, in the order they are run.
pub(crate) const ROWS: &[Row] = &[
    request("create-1", "create, 1 client", Some((718.0, None)), |lab| rate(lab, "create", 1)),
    request("create-16", "create, 16 clients", Some((2013.0, None)), |lab| rate(lab, "create", 16)),
    request("create-64", "create, 64 clients", Some((2261.0, Some(758.0))), |lab| rate(lab, "create", 64)),
    request("get-64", "get, 64 clients", Some((4950.0, Some(318.0))), |lab| rate(lab, "get", 64)),
    request("patch-16", "merge patch, 16 clients", Some((1574.0, Some(1121.0))), |lab| rate(lab, "patch", 16)),
    time("list", "list of 5,000, 7 MB", Some((85.0, Some(113.0))), |lab| Ok(Measured::time(&lab.load("list", 10)?))),
    time("watch", "create, seen by 100 watchers", Some((2.3, Some(3.05))), |lab| {
        Ok(Measured::time(&lab.load("watchers", 100)?))
    }),
    Row {
        name: "memory-loaded",
        what: "resident memory after the load",
        unit: "MiB",
        cpu_unit: "us/create",
        reference: Some((1388.0 + 392.0, Some(758.0))),
        run: costs::loaded,
    },
    request("schedule", "pods placed, scheduler alone", None, costs::scheduler_alone),
    request("schedule-api", "2,000 pods bound through the API", Some((477.0, None)), costs::scheduler),
    Row {
        name: "idle-control",
        what: "resident memory of mesh, idle",
        unit: "MiB",
        cpu_unit: "ms/s",
        reference: Some((280.0 + 45.0 + 121.0 + 66.0, None)),
        run: |lab| costs::idle(lab, "mesh"),
    },
    Row {
        name: "idle-dataplane",
        what: "resident memory of mesh dataplane, idle",
        unit: "MiB",
        cpu_unit: "ms/s",
        reference: None,
        run: |lab| costs::idle(lab, "dataplane"),
    },
    time("start-new", "start to ready, a new cluster", Some((2000.0, None)), times::founded),
    time("start-again", "start to ready, after a kill", Some((2000.0, None)), times::restarted),
    time("join", "start of a joining node to ready", None, times::joined),
    time("pod", "create of a pod to Running", None, pods::run),
    time("ctr", "ctr run of the same image", None, pods::ctr),
    time("failover", "leader killed to next write", None, times::failover),
    traffic("net-pods", "pod to pod on another node, TCP", traffic::pods),
    traffic("net-veth", "the same by plain veth and bridge", traffic::veth),
];

const fn request(
    name: &'static str,
    what: &'static str,
    reference: Option<(f64, Option<f64>)>,
    run: fn(&mut Lab) -> anyhow::Result<Measured>,
) -> Row {
    Row { name, what, unit: "/s", cpu_unit: MICROSECONDS, reference, run }
}

const fn time(
    name: &'static str,
    what: &'static str,
    reference: Option<(f64, Option<f64>)>,
    run: fn(&mut Lab) -> anyhow::Result<Measured>,
) -> Row {
    Row { name, what, unit: "ms", cpu_unit: MILLISECONDS, reference, run }
}

const fn traffic(name: &'static str, what: &'static str, run: fn(&mut Lab) -> anyhow::Result<Measured>) -> Row {
    Row { name, what, unit: "Gbit/s", cpu_unit: "s/GB", reference: None, run }
}

fn rate(lab: &mut Lab, what: &str, clients: u32) -> anyhow::Result<Measured> {
    Ok(Measured::rate(&lab.load(what, clients)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
    }
}
