//! Selectors within an access review: may he list what these select? Main type: [`Selectors`].
//! Spec: `FieldSelectorAttributes` and `LabelSelectorAttributes` of
//! <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/>.
//!
//! What cannot be understood is left out: all requirements must hold, so fewer of them ask for more, and nobody is let in
//! by mistake. The answer tells of it.

use api::{
    field::{Errors, Path},
    kinds::read::{items, text},
    selector::{self, FieldRequirement, Fields, Labels},
};
use serde_json::Value;

/// The two, as the `resourceAttributes` of a review have them.
const FIELD: &str = "fieldSelector";
const LABEL: &str = "labelSelector";

/// Selectors in the form of a query, as authorizers read them; empty where there are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selectors {
    pub(super) fields: String,
    pub(super) labels: String,
    /// What was left out, as clients are told.
    pub(super) ignored: Vec<String>,
}

impl Selectors {
    /// Reads the selectors of `resourceAttributes`.
    pub(super) fn of(attributes: &Value) -> Self {
        let mut read = Self::default();
        if let Some(of) = attributes.get(FIELD) {
            let (whole, known) = match items(of, "/requirements") {
                [] => raw(Fields::parse(text(of, "/rawSelector"))),
                several => each(several, field, |known| Fields(known).to_string()),
            };
            read.fields = read.note(FIELD, whole, known);
        }
        if let Some(of) = attributes.get(LABEL) {
            let (whole, known) = match items(of, "/requirements") {
                [] => raw(Labels::parse(text(of, "/rawSelector"))),
                several => each(several, |one| selector::from_expression(one).ok(), |all| Labels::of(all).to_string()),
            };
            read.labels = read.note(LABEL, whole, known);
        }
        read
    }

    /// Notes whether something was left out of a selector, and gives the rest.
    fn note(&mut self, name: &str, whole: bool, rest: String) -> String {
        if !whole {
            let part = if rest.is_empty() { "" } else { "partially " };
            self.ignored.push(format!("spec.resourceAttributes.{name} {part}ignored due to parse error"));
        }
        rest
    }
}

/// Whether `rawSelector` could be read, and its canonical form.
fn raw<T: ToString, E>(read: Result<T, E>) -> (bool, String) {
    read.map_or_else(|_| (false, String::new()), |known| (true, known.to_string()))
}

/// Whether all requirements could be read, and those that could.
fn each<T>(all: &[Value], read: impl Fn(&Value) -> Option<T>, write: impl FnOnce(Vec<T>) -> String) -> (bool, String) {
    let known: Vec<T> = all.iter().filter_map(read).collect();
    (known.len() == all.len(), write(known))
}

/// Fields can so far be compared with one value only.
fn field(requirement: &Value) -> Option<FieldRequirement> {
    let equal = match text(requirement, "/operator") {
        "In" => true,
        "NotIn" => false,
        _ => return None,
    };
    let [value] = items(requirement, "/values") else { return None };
    let value = value.as_str().unwrap_or_default().to_owned();
    Some(FieldRequirement { field: text(requirement, "/key").to_owned(), equal, value })
}

/// What is wrong with the selectors of `resourceAttributes`: upstream's field errors. An operator that nobody knows yet is let
/// through, so that newer clients can ask older servers.
pub(super) fn validate(attributes: &Value, path: &Path<'_>, errors: &mut Errors) {
    validate_one(attributes, (FIELD, path), errors, |one, path, errors| {
        if text(one, "/key").is_empty() {
            errors.required(&path.child("key"), "must be specified");
        }
        selector::validate_operator(one, path, errors);
    });
    validate_one(attributes, (LABEL, path), errors, |one, path, errors| {
        selector::validate_operator(one, path, errors);
        selector::validate_label(one, path, errors);
    });
}

fn validate_one(
    attributes: &Value,
    (name, parent): (&str, &Path<'_>),
    errors: &mut Errors,
    check: fn(&Value, &Path<'_>, &mut Errors),
) {
    let Some(of) = attributes.get(name).filter(|of| of.is_object()) else { return };
    let path = parent.child(name);
    let list = path.child("requirements");
    let (raw, requirements) = (text(of, "/rawSelector"), items(of, "/requirements"));
    match (raw.is_empty(), requirements.is_empty()) {
        (false, false) => {
            errors.invalid(&path.child("rawSelector"), raw, "may not specified at the same time as requirements");
        }
        (true, true) => {
            errors.required(&list, format!("when {path} is specified, requirements or rawSelector is required"));
        }
        _ => {}
    }
    requirements.iter().enumerate().for_each(|(index, one)| check(one, &list.index(index), errors));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({ "key": key, "operator": operator, "values": values })
    }

    /// `expect`: fields, labels, what was ignored.
    fn check(field: Value, label: Value, expect: (&str, &str, &[&str])) {
        let attributes = json!({ "fieldSelector": field, "labelSelector": label });
        let read = Selectors::of(&attributes);
        assert_eq!((&*read.fields, &*read.labels), (expect.0, expect.1), "{attributes}");
        let told = expect.2.iter().map(|words| format!("spec.resourceAttributes.{words} due to parse error"));
        assert_eq!(read.ignored, told.collect::<Vec<_>>(), "{attributes}");
    }

    #[test]
    fn what_is_understood_of_selectors_is_asked_for_and_the_rest_told() {
        assert_eq!(Selectors::of(&json!({})), Selectors::default());
        let raw = |text: &str| json!({ "rawSelector": text });
        check(raw("spec.nodeName==a"), raw("b in (c)"), ("spec.nodeName=a", "b in (c)", &[]));
        check(raw("key in value"), raw("&"), ("", "", &["fieldSelector ignored", "labelSelector ignored"]));
        let all = |requirements: &[Value]| json!({ "requirements": requirements });
        check(
            all(&[one("a", "In", &["1,2"]), one("b", "NotIn", &["x"]), one("c", "Exists", &[])]),
            all(&[one("a", "Near", &[])]),
            ("a=1\\,2,b!=x", "", &["fieldSelector partially ignored", "labelSelector ignored"]),
        );
        check(
            all(&[one("a", "In", &["1", "2"])]),
            all(&[one("b", "DoesNotExist", &[]), one("a", "In", &["1", "2"])]),
            ("", "a in (1,2),!b", &["fieldSelector ignored"]),
        );
    }

    fn refuse(attributes: Value, expect: &[&str]) {
        let mut errors = Errors::new();
        validate(&attributes, &Path::new("spec").child("resourceAttributes"), &mut errors);
        let found: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        let expect: Vec<String> = expect.iter().map(|words| format!("spec.resourceAttributes.{words}")).collect();
        assert_eq!(found, expect, "{attributes}");
    }

    #[test]
    fn a_selector_is_raw_or_has_sound_requirements() {
        refuse(json!({ "fieldSelector": { "rawSelector": "&" }, "labelSelector": { "rawSelector": "&" } }), &[]);
        refuse(
            json!({ "fieldSelector": {}, "labelSelector": {} }),
            &[
                "fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
                "labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required",
            ],
        );
        refuse(
            json!({ "fieldSelector": { "rawSelector": "foo", "requirements": [{}, { "key": "k", "operator": "In" }] } }),
            &[
                r#"fieldSelector.rawSelector: Invalid value: "foo": may not specified at the same time as requirements"#,
                "fieldSelector.requirements[0].key: Required value: must be specified",
                "fieldSelector.requirements[1].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ],
        );
        refuse(
            json!({ "labelSelector": { "requirements": [one("k", "Exists", &["v"]), one("k", "Newer", &["-"])] } }),
            &[
                "labelSelector.requirements[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                "labelSelector.requirements[1].values[0]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ],
        );
    }
}
