//! What crosses `mesh/rpc/1` between a node and a voter: [`Request`] there, [`Reply`] or a stream of [`Told`] back.
//! JSON with a version, since objects are JSON; one frame each. Fields are only added, and a sample of each version must decode for ever.

use ::api::kinds::{self, Kind};
use ::api::status::Status;
use apiserver::ApiError;
use apiserver::client::PatchType;
use apiserver::route::Verb;
use auth::User;
use net::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One question, one answer.
pub const CALL: Method = Method(0x20);
/// A collection is followed until either side ends it.
pub const WATCH: Method = Method(0x21);

/// Version of what this file describes.
pub const VERSION: u32 = 1;

/// Largest question, in bytes: an object of the API's largest size and its options.
pub const REQUEST_LIMIT: usize = 4 << 20;

/// As whom a node speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Face {
    /// Its kubelet: `system:node:<name>`.
    #[default]
    Kubelet,
    /// Its service proxy: `system:kube-proxy`, which reads Services and EndpointSlices of the whole cluster.
    Proxy,
}

impl Face {
    /// The user, for the node of this name.
    pub fn user(self, node: &str) -> User {
        match self {
            Self::Kubelet => User::node(node),
            Self::Proxy => User::new("system:kube-proxy", &[auth::user::AUTHENTICATED]),
        }
    }

    /// Field manager of what it writes.
    pub fn agent(self) -> &'static str {
        match self {
            Self::Kubelet => "kubelet",
            Self::Proxy => "kube-proxy",
        }
    }
}

/// A question, before it is known where it is answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// As whom.
    pub face: Face,
    /// What is done.
    pub verb: Verb,
    /// To which kind.
    pub kind: &'static Kind,
    /// In which namespace; empty for all, and for kinds without.
    pub namespace: String,
    /// To which object; empty for the collection.
    pub name: String,
    /// To which part of it, such as `status`; empty for the whole.
    pub part: String,
    /// As in a URL.
    pub parameters: Vec<(String, String)>,
    /// How a patch is written.
    pub patch: PatchType,
    /// What is sent along; null if nothing.
    pub body: Value,
}

impl Call {
    /// A question without part, parameters and body.
    pub fn new(verb: Verb, kind: &'static Kind, namespace: &str, name: &str) -> Self {
        Self {
            face: Face::Kubelet,
            verb,
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            part: String::new(),
            parameters: Vec::new(),
            patch: PatchType::Json,
            body: Value::Null,
        }
    }
}

/// A [`Call`] on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    version: u32,
    #[serde(default)]
    face: Face,
    verb: String,
    group: String,
    api_version: String,
    plural: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    part: String,
    #[serde(default)]
    parameters: Vec<(String, String)>,
    #[serde(default)]
    patch: String,
    #[serde(default)]
    body: Value,
}

/// The answer to [`CALL`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// Done; an object, or a `List` of them.
    Done(Value),
    /// Not done.
    Refused(Box<Status>),
    /// This node serves no API just now: ask another.
    Elsewhere,
}

/// One piece of the answer to [`WATCH`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    /// It is there, like this.
    Put(Value),
    /// It is gone, or wanted no longer; as it was.
    Gone(Value),
    /// Nothing up to this revision was missed; `initial` ends the state at the start.
    Bookmark {
        /// Up to where.
        revision: u64,
        /// Does it end the state at the start?
        initial: bool,
    },
    /// The last one: why it ends.
    Failed(Box<Status>),
    /// This node serves no API just now: ask another.
    Elsewhere,
}

/// One piece of news of a collection, in memory.
#[derive(Clone, Debug)]
pub enum News {
    /// It is there, like this.
    Put(Value),
    /// It is gone, or wanted no longer; as it was.
    Gone(Value),
    /// See [`Told::Bookmark`].
    Bookmark {
        /// Up to where.
        revision: u64,
        /// Does it end the state at the start?
        initial: bool,
    },
    /// The last one: why it ends.
    Failed(ApiError),
}

/// Why a question cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It is of a later release.
    #[error("version {0} of this question is unknown to this release: upgrade this node")]
    Version(u32),
    /// It names something unknown here.
    #[error("{what} {value:?} is unknown to this node")]
    Unknown {
        /// As `verb`.
        what: &'static str,
        /// What it says.
        value: String,
    },
}

const VERBS: &[Verb] = &[Verb::Get, Verb::List, Verb::Watch, Verb::Create, Verb::Update, Verb::Patch, Verb::Delete];

const PATCHES: &[(&str, PatchType)] = &[
    ("", PatchType::Json),
    ("json", PatchType::JsonPatch),
    ("merge", PatchType::MergePatch),
    ("strategic", PatchType::StrategicPatch),
    ("apply", PatchType::Apply),
];

impl From<&Call> for Request {
    fn from(call: &Call) -> Self {
        let patch = PATCHES.iter().find(|(_, patch)| *patch == call.patch).map_or("", |(name, _)| name);
        Self {
            version: VERSION,
            face: call.face,
            verb: call.verb.as_str().to_owned(),
            group: call.kind.group.to_owned(),
            api_version: call.kind.version.to_owned(),
            plural: call.kind.plural.to_owned(),
            namespace: call.namespace.clone(),
            name: call.name.clone(),
            part: call.part.clone(),
            parameters: call.parameters.clone(),
            patch: patch.to_owned(),
            body: call.body.clone(),
        }
    }
}

impl TryFrom<Request> for Call {
    type Error = WireError;

    fn try_from(request: Request) -> Result<Self, WireError> {
        if request.version > VERSION {
            return Err(WireError::Version(request.version));
        }
        let unknown = |what, value: &str| WireError::Unknown { what, value: value.to_owned() };
        let verb = VERBS.iter().find(|verb| verb.as_str() == request.verb);
        let kind = kinds::by_resource(&request.group, &request.api_version, &request.plural);
        let patch = PATCHES.iter().find(|(name, _)| *name == request.patch);
        Ok(Self {
            face: request.face,
            verb: *verb.ok_or_else(|| unknown("verb", &request.verb))?,
            kind: kind.ok_or_else(|| unknown("resource", &request.plural))?,
            patch: patch.ok_or_else(|| unknown("patch type", &request.patch))?.1,
            namespace: request.namespace,
            name: request.name,
            part: request.part,
            parameters: request.parameters,
            body: request.body,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn questions_come_back_and_the_sample_of_version_1_decodes() {
        let mut call = Call::new(Verb::Patch, &kinds::node::NODE, "", "n1");
        (call.part, call.patch, call.body) = ("status".into(), PatchType::StrategicPatch, json!({ "a": 1 }));
        let sample = r#"{"version":1,"face":"kubelet","verb":"patch","group":"","apiVersion":"v1","plural":"nodes","namespace":"","name":"n1","part":"status","parameters":[],"patch":"strategic","body":{"a":1}}"#;
        let request = Request::from(&call);
        assert_eq!(serde_json::to_string(&request).unwrap(), sample);
        let back = Call::try_from(serde_json::from_str::<Request>(sample).unwrap()).unwrap();
        assert_eq!((back.name.as_str(), back.part.as_str(), back.kind.plural), ("n1", "status", "nodes"));
        assert_eq!((back.patch, back.body), (PatchType::StrategicPatch, json!({ "a": 1 })));
    }

    #[test]
    fn answers_keep_their_form() {
        let check = |told: Told, text: &str| {
            assert_eq!(serde_json::to_string(&told).unwrap(), text);
            assert_eq!(serde_json::from_str::<Told>(text).unwrap(), told);
        };
        check(Told::Put(json!({})), r#"{"put":{}}"#);
        check(Told::Bookmark { revision: 7, initial: true }, r#"{"bookmark":{"revision":7,"initial":true}}"#);
        check(Told::Elsewhere, r#""elsewhere""#);
        assert_eq!(serde_json::to_string(&Reply::Done(json!(1))).unwrap(), r#"{"done":1}"#);
    }

    #[test]
    fn what_is_unknown_is_named() {
        let request = Request { version: 9, ..Request::from(&Call::new(Verb::Get, &kinds::node::NODE, "", "")) };
        assert_eq!(Call::try_from(request.clone()).unwrap_err(), WireError::Version(9));
        let request = Request { version: 1, plural: "gadgets".into(), ..request };
        assert!(Call::try_from(request).unwrap_err().to_string().contains("gadgets"));
    }
}
