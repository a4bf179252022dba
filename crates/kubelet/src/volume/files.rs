//! Small files that every container sees: `/etc/hosts`, `/etc/resolv.conf`, `/etc/hostname`. Main functions: [`hosts`], [`resolv_conf`].
//! Spec: <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>.

use std::net::IpAddr;

use crate::{
    model::{DnsOption, Pod},
    observed::NodeFacts,
};

/// Most name servers; the C library reads no more.
const NAMESERVERS_MAX: usize = 3;

/// Most search domains, and their characters with spaces; upstream's.
const SEARCHES_MAX: usize = 32;
const SEARCH_CHARACTERS_MAX: usize = 2_048;

/// Most characters of a host name.
const HOSTNAME_MAX: usize = 63;

/// The host name of a pod, and the domain it is in, or nothing.
#[must_use]
pub fn hostname(pod: &Pod, node: &NodeFacts) -> (String, String) {
    let (meta, spec) = (&pod.metadata, &pod.spec);
    if let Some(name) = &spec.hostname_override {
        return (name.clone(), String::new());
    }
    if spec.host_network {
        return (node.hostname.clone(), String::new());
    }
    let full = if spec.hostname.is_empty() { &meta.name } else { &spec.hostname };
    let cut: String = full.chars().take(HOSTNAME_MAX).collect();
    let name = cut.trim_end_matches(['-', '.']).to_owned();
    let domain = match spec.subdomain.as_str() {
        "" => String::new(),
        subdomain => format!("{subdomain}.{}.svc.{}", meta.namespace, node.cluster_domain),
    };
    (if spec.set_hostname_as_fqdn && !domain.is_empty() { format!("{name}.{domain}") } else { name }, domain)
}

/// Text of `/etc/hosts`.
#[must_use]
pub fn hosts(pod: &Pod, pod_ips: &[IpAddr], node: &NodeFacts) -> String {
    let mut text = if pod.spec.host_network {
        format!("# Kubernetes-managed hosts file (host network).\n{}", node.hosts)
    } else {
        own_hosts(pod, pod_ips, node)
    };
    if !pod.spec.host_aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in &pod.spec.host_aliases {
            text.push_str(&format!("{}\t{}\n", alias.ip, alias.hostnames.join("\t")));
        }
    }
    text
}

fn own_hosts(pod: &Pod, pod_ips: &[IpAddr], node: &NodeFacts) -> String {
    const HEAD: &str = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
        fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
    let (name, domain) = hostname(pod, node);
    let name = name.strip_suffix(&format!(".{domain}")).map_or(name.clone(), str::to_owned);
    let names = if domain.is_empty() { name } else { format!("{name}.{domain}\t{name}") };
    let lines = pod_ips.iter().map(|ip| format!("{ip}\t{names}\n"));
    std::iter::once(HEAD.to_owned()).chain(lines).collect()
}

#[derive(Default)]
struct Resolv {
    nameservers: Vec<String>,
    searches: Vec<String>,
    options: Vec<DnsOption>,
}

/// Text of `/etc/resolv.conf`: by `dnsPolicy`, then `dnsConfig`, within the C library's limits.
#[must_use]
pub fn resolv_conf(pod: &Pod, node: &NodeFacts) -> String {
    let spec = &pod.spec;
    let of_node = parse(&node.resolv_conf);
    let cluster = match spec.dns_policy.as_str() {
        "None" => None,
        "Default" => Some(false),
        "ClusterFirstWithHostNet" => Some(true),
        _ => Some(!spec.host_network),
    };
    let mut resolv = match cluster {
        None => Resolv::default(),
        Some(true) if !node.cluster_dns.is_empty() => of_cluster(&pod.metadata.namespace, node, of_node),
        Some(_) => of_node,
    };
    if let Some(config) = &spec.dns_config {
        resolv.nameservers.extend(config.nameservers.iter().cloned());
        resolv.searches.extend(config.searches.iter().cloned());
        for option in &config.options {
            resolv.options.retain(|old| old.name != option.name);
            resolv.options.push(option.clone());
        }
    }
    resolv.text()
}

fn of_cluster(namespace: &str, node: &NodeFacts, of_node: Resolv) -> Resolv {
    let domain = &node.cluster_domain;
    let own = [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
    Resolv {
        nameservers: node.cluster_dns.iter().map(ToString::to_string).collect(),
        searches: own.into_iter().chain(of_node.searches).collect(),
        options: vec![DnsOption { name: "ndots".to_owned(), value: Some("5".to_owned()) }],
    }
}

fn parse(text: &str) -> Resolv {
    let mut resolv = Resolv::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let words: (Option<&str>, Vec<&str>) = (words.next(), words.collect());
        match words {
            (Some("nameserver"), rest) => resolv.nameservers.extend(rest.first().map(ToString::to_string)),
            // The last line of these counts.
            (Some("search" | "domain"), rest) => {
                let names = rest.iter().map(|name| name.trim_end_matches('.')).filter(|name| !name.is_empty());
                resolv.searches = names.map(str::to_owned).collect();
            }
            (Some("options"), rest) => resolv.options.extend(rest.iter().map(|word| match word.split_once(':') {
                Some((name, value)) => DnsOption { name: name.to_owned(), value: Some(value.to_owned()) },
                None => DnsOption { name: (*word).to_owned(), value: None },
            })),
            _ => {}
        }
    }
    resolv
}

impl Resolv {
    fn text(self) -> String {
        let mut text = String::new();
        let mut searches: Vec<String> = Vec::new();
        for name in self.searches {
            let length: usize = searches.iter().map(|name| name.len() + 1).sum();
            let fits = searches.len() < SEARCHES_MAX && length + name.len() <= SEARCH_CHARACTERS_MAX;
            if fits && !searches.contains(&name) {
                searches.push(name);
            }
        }
        if !searches.is_empty() {
            text.push_str(&format!("search {}\n", searches.join(" ")));
        }
        let mut servers: Vec<String> = Vec::new();
        for server in self.nameservers {
            if servers.len() < NAMESERVERS_MAX && !servers.contains(&server) {
                servers.push(server);
            }
        }
        text.extend(servers.iter().map(|server| format!("nameserver {server}\n")));
        let options = self.options.iter().map(|one| match &one.value {
            Some(value) if !value.is_empty() => format!("{}:{value}", one.name),
            _ => one.name.clone(),
        });
        let options: Vec<String> = options.collect();
        if !options.is_empty() {
            text.push_str(&format!("options {}\n", options.join(" ")));
        }
        text
    }
}
