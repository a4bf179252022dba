//! Which built-in kinds have a schema, one row each, and the schemas as upstream's type crate gives them.
//!
//! Main type: [`Row`]. Leaves out unstable versions and what the facts add (`openapi::enrich`).

use k8s_openapi::{
    Resource,
    api::{
        admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authentication,
        authorization::v1 as authorization, autoscaling::v1 as autoscaling, autoscaling::v2 as autoscaling2,
        batch::v1 as batch, certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core,
        discovery::v1 as discovery, events::v1 as events, flowcontrol::v1 as flowcontrol, networking::v1 as networking,
        node::v1 as node, policy::v1 as policy, rbac::v1 as rbac, resource::v1 as resource,
        scheduling::v1 as scheduling, storage::v1 as storage,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions,
    apimachinery::pkg::apis::meta::v1 as meta,
    kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration,
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

/// A kind that has a schema.
#[derive(Debug)]
pub struct Row {
    /// Its group; empty for the core group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its kind.
    pub kind: &'static str,
    add: fn(&mut SchemaGenerator),
}

const fn row<T: Resource + JsonSchema>() -> Row {
    Row { group: T::GROUP, version: T::VERSION, kind: T::KIND, add: add::<T> }
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

/// All built-in kinds of stable versions. A served kind without a row has no schema and clients see it as free-form.
pub const ROWS: &[Row] = &[
    row::<core::Binding>(),
    row::<core::ComponentStatus>(),
    row::<core::ConfigMap>(),
    row::<core::Endpoints>(),
    row::<core::Event>(),
    row::<core::LimitRange>(),
    row::<core::Namespace>(),
    row::<core::Node>(),
    row::<core::PersistentVolume>(),
    row::<core::PersistentVolumeClaim>(),
    row::<core::Pod>(),
    row::<core::PodTemplate>(),
    row::<core::ReplicationController>(),
    row::<core::ResourceQuota>(),
    row::<core::Secret>(),
    row::<core::Service>(),
    row::<core::ServiceAccount>(),
    row::<admission::MutatingAdmissionPolicy>(),
    row::<admission::MutatingAdmissionPolicyBinding>(),
    row::<admission::MutatingWebhookConfiguration>(),
    row::<admission::ValidatingAdmissionPolicy>(),
    row::<admission::ValidatingAdmissionPolicyBinding>(),
    row::<admission::ValidatingWebhookConfiguration>(),
    row::<apiextensions::CustomResourceDefinition>(),
    row::<apiregistration::APIService>(),
    row::<apps::ControllerRevision>(),
    row::<apps::DaemonSet>(),
    row::<apps::Deployment>(),
    row::<apps::ReplicaSet>(),
    row::<apps::StatefulSet>(),
    row::<authentication::SelfSubjectReview>(),
    row::<authentication::TokenRequest>(),
    row::<authentication::TokenReview>(),
    row::<authorization::LocalSubjectAccessReview>(),
    row::<authorization::SelfSubjectAccessReview>(),
    row::<authorization::SelfSubjectRulesReview>(),
    row::<authorization::SubjectAccessReview>(),
    row::<autoscaling::HorizontalPodAutoscaler>(),
    row::<autoscaling::Scale>(),
    row::<autoscaling2::HorizontalPodAutoscaler>(),
    row::<batch::CronJob>(),
    row::<batch::Job>(),
    row::<certificates::CertificateSigningRequest>(),
    row::<coordination::Lease>(),
    row::<discovery::EndpointSlice>(),
    row::<events::Event>(),
    row::<flowcontrol::FlowSchema>(),
    row::<flowcontrol::PriorityLevelConfiguration>(),
    row::<networking::IPAddress>(),
    row::<networking::Ingress>(),
    row::<networking::IngressClass>(),
    row::<networking::NetworkPolicy>(),
    row::<networking::ServiceCIDR>(),
    row::<node::RuntimeClass>(),
    row::<policy::Eviction>(),
    row::<policy::PodDisruptionBudget>(),
    row::<rbac::ClusterRole>(),
    row::<rbac::ClusterRoleBinding>(),
    row::<rbac::Role>(),
    row::<rbac::RoleBinding>(),
    row::<resource::DeviceClass>(),
    row::<resource::ResourceClaim>(),
    row::<resource::ResourceClaimTemplate>(),
    row::<resource::ResourceSlice>(),
    row::<scheduling::PriorityClass>(),
    row::<storage::CSIDriver>(),
    row::<storage::CSINode>(),
    row::<storage::CSIStorageCapacity>(),
    row::<storage::StorageClass>(),
    row::<storage::VolumeAttachment>(),
    row::<storage::VolumeAttributesClass>(),
];

/// The row of a kind.
pub(crate) fn find(group: &str, version: &str, kind: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.kind == kind && row.group == group && row.version == version)
}

/// Schemas by type name: of these kinds, all they refer to, and what every document needs (`Status`, `DeleteOptions`,
/// `ListMeta`). References begin with `ref_prefix`.
pub(crate) fn definitions<'a>(kinds: impl Iterator<Item = &'a Row>, ref_prefix: &str) -> Map<String, Value> {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = ref_prefix.trim_start_matches('#').trim_end_matches('/').to_owned().into();
        settings.transforms.clear();
    });
    let mut generator = settings.into_generator();
    for add in [add::<meta::Status>, add::<meta::DeleteOptions>, add::<meta::ListMeta>, add::<meta::Patch>] {
        add(&mut generator);
    }
    kinds.for_each(|row| (row.add)(&mut generator));
    generator.take_definitions(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_with_a_schema_is_known_to_the_facts() {
        for row in ROWS {
            assert!(api::facts::of_kind(row.group, row.version, row.kind).is_some(), "{row:?}");
        }
    }

    #[test]
    fn every_served_kind_has_a_schema() {
        for kind in api::kinds::KINDS {
            let found = find(kind.group, kind.version, kind.kind);
            assert!(found.is_some(), "{}/{} {} has no row in ROWS", kind.group, kind.version, kind.kind);
        }
    }
}
