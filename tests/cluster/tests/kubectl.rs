//! What people do with kubectl every day, with the oldest and the newest client at hand, through every node.
//! Spec: <https://kubernetes.io/docs/reference/kubectl/>.

#[path = "kubectl/rows.rs"]
mod rows;

use anyhow::Result;
use cluster::{Cluster, Steps, clients};

/// Runs the rows for each client and node, the clients side by side: each combination in a namespace of its own.
#[test]
fn kubectl_old_and_new_works_through_every_node() {
    let cluster = Cluster::start(3).unwrap();
    let all = std::thread::scope(|scope| {
        let runs: Vec<_> = clients().iter().map(|client| scope.spawn(|| of_client(&cluster, client))).collect();
        runs.into_iter().map(|run| run.join().expect("steps do not panic")).collect::<Vec<_>>()
    });
    let mut steps = Steps::new();
    all.into_iter().for_each(|of_client| steps.extend(of_client));
    steps.end();
}

fn of_client(cluster: &Cluster, client: &cluster::Client) -> Steps {
    let mut steps = Steps::new();
    for node in 0..cluster.nodes.len() {
        let namespace = format!("c{}-n{node}", client.minor);
        let place = format!("kubectl 1.{} on {}", client.minor, cluster.nodes[node].name);
        let kubectl = cluster.kubectl(client, node);
        let other = cluster.kubectl(client, (node + 1) % cluster.nodes.len());
        for (topic, rows) in rows::TOPICS {
            steps.step(&format!("{place}: {topic}"), || rows.iter().try_for_each(|row| row.run(&kubectl, &namespace)));
        }
        steps.step(&format!("{place}: edit"), || rows::edit(&kubectl, cluster.root(), &namespace));
        steps.step(&format!("{place}: get -w shows what another node wrote"), || watch(&kubectl, &other, &namespace));
        steps.step(&format!("{place}: delete"), || {
            rows::DELETES.iter().try_for_each(|row| row.run(&kubectl, &namespace))
        });
    }
    steps
}

fn watch(kubectl: &cluster::Kubectl, other: &cluster::Kubectl, namespace: &str) -> Result<()> {
    let follow =
        format!("get configmaps -n {namespace} -l watched=yes -w -o custom-columns=A:.metadata.name,B:.data.k");
    let watched = kubectl.follow(&follow)?;
    let make = |name: &str, value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{watched: 'yes'}}}}\ndata: {{k: {value}}}"
        )
    };
    // Whether the watch begins before or after the first: its list shows that one then.
    other.prints(&format!("create -n {namespace} -f -"), &make("w1", "one"), &["created"])?;
    watched.says("one")?;
    other.prints(&format!("apply -n {namespace} -f -"), &make("w1", "two"), &["configured"])?;
    watched.says("two")?;
    other.prints(&format!("create -n {namespace} -f -"), &make("w2", "three"), &["created"])?;
    watched.says("three")?;
    Ok(())
}
