//! What containers ask for and may have at most. Spec:
//! <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/> and
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/>.

use serde_json::Value;

use super::{
    super::{
        super::read::{entries, items, text},
        amounts,
    },
    words::{self, label, qualified},
};
use crate::{
    field::{Errors, Kind, Path},
    names,
    quantity::Quantity,
};

/// Names without a domain that resources of containers, quotas and volumes have, beside [`COUNTED`].
const MEASURED: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// What is counted.
const COUNTED: &[&str] = &[
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

const OF_CONTAINERS: &[&str] = &["cpu", "memory", "ephemeral-storage"];

const COMPUTE: &[&str] = &["cpu", "memory"];

const HUGE_PAGES: &str = "hugepages-";

/// Checks the name of a resource; adds its errors at the path.
pub(in crate::kinds) type NameCheck = fn(&str, &Path<'_>, &mut Errors);

/// `resources` of a container.
pub(super) fn of_container(spec: &Value, container: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(resources) = container.get("resources") {
        requirements(resources, container_name, path, errors);
        claims(spec, resources, &path.child("claims"), errors);
    }
}

/// `resources` of the pod as a whole.
pub(super) fn of_pod(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(resources) = spec.get("resources") else { return };
    if resources.get("claims").is_some() {
        errors.forbidden(&path.child("claims"), "claims cannot be set for Resources at pod-level");
    }
    requirements(resources, pod_name, path, errors);
    consistent(spec, resources, path, errors);
}

fn requirements(resources: &Value, check_name: NameCheck, path: &Path<'_>, errors: &mut Errors) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    amounts(entries(resources, "/limits"), check_name, &limits_path, errors);
    for (name, amount) in entries(resources, "/requests") {
        let path = requests_path.key(name);
        amount_of(name, amount, check_name, &path, errors);
        let limit = resources.get("limits").and_then(|limits| limits.get(name));
        within(name, amount, limit, (&requests_path, &limits_path), errors);
    }
    let named = |part: &'static str| entries(resources, part).map(|(name, _)| name);
    let all: Vec<&str> = named("/limits").chain(named("/requests")).collect();
    if all.iter().any(|name| name.starts_with(HUGE_PAGES)) && !all.iter().any(|name| COMPUTE.contains(name)) {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

/// A request is no more than the limit, and the same where the resource cannot be shared.
fn within(
    name: &str,
    amount: &Value,
    limit: Option<&Value>,
    (requests, limits): (&Path<'_>, &Path<'_>),
    errors: &mut Errors,
) {
    let shared = is_native(name) && !name.starts_with(HUGE_PAGES);
    let Some(limit) = limit else {
        if !shared {
            errors.required(limits, "Limit must be set for non overcommitable resources");
        }
        return;
    };
    let (Ok(asked), Ok(most)) = (Quantity::from_json(amount), Quantity::from_json(limit)) else { return };
    if asked != most && !shared {
        errors.invalid(requests, asked.to_string(), format!("must be equal to {name} limit of {most}"));
    } else if asked > most {
        errors.invalid(requests, asked.to_string(), format!("must be less than or equal to {name} limit of {most}"));
    }
}

/// Names and amounts.
pub(super) fn amounts<'a>(
    list: impl Iterator<Item = (&'a str, &'a Value)>,
    check_name: NameCheck,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    list.for_each(|(name, amount)| amount_of(name, amount, check_name, &path.key(name), errors));
}

fn amount_of(name: &str, amount: &Value, check_name: NameCheck, path: &Path<'_>, errors: &mut Errors) {
    check_name(name, path, errors);
    let Ok(quantity) = Quantity::from_json(amount) else { return };
    if quantity.nanos() < 0 {
        errors.invalid(path, quantity.to_string(), "must be greater than or equal to 0");
    }
    if !is_native(name) && quantity.milli_value() % 1000 != 0 {
        errors.invalid(path, quantity.to_string(), "must be an integer");
    }
    if let Some(size) = name.strip_prefix(HUGE_PAGES).and_then(|size| size.parse::<Quantity>().ok()) {
        let divides = size.value() > 0 && quantity.nanos() >= 0 && quantity.value() % size.value() == 0;
        if !divides {
            errors.invalid(
                path,
                quantity.to_string(),
                format!("{quantity} is not positive integer multiple of {name}"),
            );
        }
    }
}

/// How much there is of a resource: none is owed, and what is counted is whole.
pub(in crate::kinds) fn amount_value(name: &str, amount: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Ok(quantity) = Quantity::from_json(amount) else { return };
    if quantity.nanos() < 0 {
        errors.invalid(path, quantity.to_string(), "must be greater than or equal to 0");
    }
    let extended = !is_native(name) && !name.starts_with("requests.");
    if (COUNTED.contains(&name) || extended) && quantity.milli_value() % 1000 != 0 {
        errors.invalid(path, quantity.to_string(), "must be an integer");
    }
}

fn is_standard(name: &str) -> bool {
    MEASURED.contains(&name) || COUNTED.contains(&name)
}

/// Whether Kubernetes itself knows the resource, by its name.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Any resource; whether its name is sound.
pub(in crate::kinds) fn resource_name(name: &str, path: &Path<'_>, errors: &mut Errors) -> bool {
    let before = errors.0.len();
    qualified(name, path, errors);
    if errors.0.len() == before
        && !name.contains('/')
        && !is_standard(name)
        && !name.trim_start_matches("requests.").starts_with(HUGE_PAGES)
    {
        errors.invalid(path, name, "must be a standard resource type or fully qualified");
    }
    errors.0.len() == before
}

/// A resource that a namespace may have a quota of.
pub(in crate::kinds) fn quota_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    resource_name(name, path, errors);
    let huge = name.trim_start_matches("requests.").starts_with(HUGE_PAGES);
    if !name.contains('/') && !huge && (name == "storage" || !is_standard(name)) {
        errors.invalid(path, name, "must be a standard resource for quota");
    }
}

/// A resource that a container may ask for.
pub(in crate::kinds) fn container_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    resource_name(name, path, errors);
    if !name.contains('/') {
        if !OF_CONTAINERS.contains(&name) && !name.starts_with(HUGE_PAGES) {
            errors.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !is_native(name)
        && (name.starts_with("requests.") || !names::qualified_name(&format!("requests.{name}")).is_empty())
    {
        errors.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

fn pod_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let supported = COMPUTE.contains(&name) || name.starts_with(HUGE_PAGES);
    if resource_name(name, path, errors) && !supported {
        errors.not_supported(path, name, COMPUTE);
    }
}

/// The pod asks for at least what its containers ask for together, and allows each what it allows itself.
fn consistent(spec: &Value, resources: &Value, path: &Path<'_>, errors: &mut Errors) {
    let requests = path.child("requests");
    for (name, sum) in amounts::requests(spec) {
        let own = resources.get("requests").and_then(|requests| requests.get(name));
        let own = own.and_then(|amount| Quantity::from_json(amount).ok());
        if own.as_ref().is_none_or(|own| sum > *own) {
            let own = own.map_or_else(|| "0".to_owned(), |own| own.to_string());
            let why = format!("must be greater than or equal to aggregate container requests of {sum}");
            errors.invalid(&requests.key(name), own, why);
        }
    }
    let list = path.child("containers");
    for (index, container) in items(spec, "/containers").iter().enumerate() {
        for (name, limit) in entries(container, "/resources/limits") {
            let own = resources.get("limits").and_then(|limits| limits.get(name));
            let (Some(own), Ok(limit)) = (own, Quantity::from_json(limit)) else { continue };
            if Quantity::from_json(own).is_ok_and(|own| limit > own) {
                let why = format!("must be less than or equal to pod limits of {}", own.as_str().unwrap_or_default());
                errors.invalid(&list.index(index).key(name).child("limits"), limit.to_string(), why);
            }
        }
    }
}

/// `resourceClaims` of the pod.
pub(super) fn pod_claims(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let claims = items(spec, "/resourceClaims");
    for (index, claim) in claims.iter().enumerate() {
        let (path, name) = (path.index(index), text(claim, "/name"));
        match name {
            "" => errors.required(&path.child("name"), ""),
            _ if claims[..index].iter().any(|other| text(other, "/name") == name) => {
                errors.duplicate(&path.child("name"), name);
            }
            _ => label(name, &path.child("name"), errors),
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        let given = sources.into_iter().filter_map(|source| Some((source, claim.get(source)?.as_str()?)));
        match given.clone().count() {
            0 => {
                let why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                errors.invalid(&path, claim.clone(), why);
            }
            1 => {}
            _ => {
                let why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                errors.invalid(&path, claim.clone(), why);
            }
        }
        given.for_each(|(source, name)| words::subdomain(name, &path.child(source), errors));
    }
}

/// `claims` of a container: each once, and one of the pod's.
fn claims(spec: &Value, resources: &Value, path: &Path<'_>, errors: &mut Errors) {
    let claims = items(resources, "/claims");
    for (index, claim) in claims.iter().enumerate() {
        let (path, name, request) = (path.index(index), text(claim, "/name"), text(claim, "/request"));
        if name.is_empty() {
            errors.required(&path, "");
            continue;
        }
        if !request.is_empty() {
            label(request, &path.child("request"), errors);
        }
        let overlaps = |other: &&Value| {
            let known = text(other, "/request");
            text(other, "/name") == name && (known.is_empty() || request.is_empty() || known == request)
        };
        if claims[..index].iter().any(|other| overlaps(&other)) {
            errors.duplicate(&path, if request.is_empty() { name.to_owned() } else { format!("{name}/{request}") });
        }
        let mut known: Vec<&str> = items(spec, "/resourceClaims").iter().map(|one| text(one, "/name")).collect();
        if !known.contains(&name) {
            known.sort_unstable();
            let list = if known.is_empty() { " which is empty".to_owned() } else { format!(": {}", known.join(", ")) };
            let why = format!("must be one of the names in pod.spec.resourceClaims{list}");
            errors.push(Kind::NotFound, &path, Some(name.into()), why);
        }
    }
}

/// `resizePolicy` of a container.
pub(super) fn resize_policy(spec: &Value, container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let policies = items(container, "/resizePolicy");
    for (index, policy) in policies.iter().enumerate() {
        let (name, restart) = (text(policy, "/resourceName"), text(policy, "/restartPolicy"));
        if policies[..index].iter().any(|other| text(other, "/resourceName") == name) {
            errors.duplicate(&path.index(index), name);
        }
        words::choice(name, COMPUTE, path, errors);
        words::choice(restart, &["NotRequired", "RestartContainer"], path, errors);
        if text(spec, "/restartPolicy") == "Never" && restart != "NotRequired" {
            errors.invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
    }
}
