//! Cases recorded from upstream's grammar and its messages.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn check(text: &str, expect: Result<&str, &str>) {
    let got = Labels::parse(text).map(|selector| selector.to_string()).map_err(|error| error.0);
    assert_eq!(got.as_deref(), expect.map_err(ToOwned::to_owned).as_ref().map(|text| *text), "{text:?}");
}

#[test]
fn reads_the_grammar() {
    let cases = [
        ("", ""),
        ("a", "a"),
        ("!a", "!a"),
        ("a=b", "a=b"),
        ("a==b", "a==b"),
        ("a != b", "a!=b"),
        ("a=", "a="),
        ("a in (c,b)", "a in (b,c)"),
        ("a notin (b)", "a notin (b)"),
        ("a in ()", "a in ()"),
        ("a in (,)", "a in ()"),
        ("a in (b,,c)", "a in (,b,c)"),
        ("z,a=b", "a=b,z"),
        ("a=b,", ""),
        ("x.io/a in (in,notin)", "x.io/a in (in,notin)"),
        ("a>1", "a>1"),
        ("a<1", "a<1"),
        ("in in (in)", "in in (in)"),
        ("!in", "!in"),
    ];
    for (text, expect) in cases.into_iter().filter(|(text, _)| *text != "a=b,") {
        check(text, Ok(expect));
    }
}

#[test]
fn refuses_in_upstreams_words() {
    check("a=b,", Err("found '', expected: identifier after ','"));
    check(",a", Err("found ',', expected: !, identifier, or 'end of string'"));
    check("a b", Err("unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"));
    check("a in b", Err("unable to parse requirement: found 'b' expected: '('"));
    check("a in (b", Err("unable to parse requirement: found '', expected: ',' or ')'"));
    check("a=b c", Err("found 'c', expected: ',' or 'end of string'"));
    check("a=(", Err("unable to parse requirement: found '(', expected: identifier"));
    check("!", Err("unable to parse requirement: found '', expected: identifier"));
    check(
        "a>b",
        Err(
            r#"unable to parse requirement: values[0]: Invalid value: "b": for 'Gt', 'Lt' operators, the value must be an integer"#,
        ),
    );
    let error = Labels::parse("a=b@").unwrap_err().0;
    assert!(
        error.starts_with(r#"unable to parse requirement: values[0][a]: Invalid value: "b@": a valid label must be"#),
        "{error}"
    );
    let error = Labels::parse("-a").unwrap_err().0;
    assert!(
        error.starts_with(r#"unable to parse requirement: <nil>: Invalid value: "-a": name part must consist"#),
        "{error}"
    );
}

#[test]
fn matches_labels() {
    let labels = [("a", "1"), ("b", "x")];
    let cases = [
        ("", true),
        ("a", true),
        ("c", false),
        ("!a", false),
        ("!c", true),
        ("a=1", true),
        ("a=2", false),
        ("a!=2", true),
        ("c!=2", true),
        ("b in (x,y)", true),
        ("b notin (x)", false),
        ("c notin (x)", true),
        ("a>0", true),
        ("a<1", false),
        ("b>0", false),
        ("a=1,b=y", false),
    ];
    for (text, expect) in cases {
        assert_eq!(Labels::parse(text).unwrap().matches(&labels), expect, "{text}");
    }
    assert!(!Labels::nothing().matches(&labels));
}

#[test]
fn reads_selector_objects() {
    let text = |selector| Labels::from_object(&selector).map(|labels| labels.to_string());
    let object =
        json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d"]}]});
    assert_eq!(text(object).unwrap(), "a=b,c notin (d)");
    assert!(Labels::from_object(&json!({})).unwrap().is_everything());
    assert!(Labels::from_object(&json!(null)).unwrap().is_nothing());
    let error = text(json!({"matchExpressions": [{"key": "c", "operator": "Like"}]})).unwrap_err();
    assert_eq!(error.0, "\"Like\" is not a valid label selector operator");
}

#[test]
fn reads_field_selectors() {
    let cases = [
        ("", Ok("")),
        ("a.b=c", Ok("a.b=c")),
        ("a==c", Ok("a=c")),
        ("b!=c,a=", Ok("a=,b!=c")),
        (r"a=b\,c\=d\\", Ok(r"a=b\,c\=d\\")),
        ("a", Err("invalid selector: 'a'; can't understand 'a'")),
        ("a=b=c", Err("invalid field selector: unescaped character in value: 61")),
        (r"a=b\c", Err(r"invalid field selector: invalid escape sequence: \c")),
        ("a=b\\", Err("invalid field selector: invalid escape sequence: \\")),
    ];
    for (text, expect) in cases {
        let got = Fields::parse(text).map(|fields| fields.to_string()).map_err(|error| error.0);
        assert_eq!(got, expect.map(ToOwned::to_owned).map_err(ToOwned::to_owned), "{text}");
    }
}

#[test]
fn field_selectors_match_and_know_their_fields() {
    let fields = [("metadata.name", "a"), ("spec.nodeName", "n")];
    let selects = |text: &str| Fields::parse(text).unwrap().matches(&fields);
    assert!(selects("spec.nodeName=n,metadata.name!=b,status.phase=") && !selects("spec.nodeName=m"));
    let check = |text: &str| Fields::parse(text).unwrap().check(|field| field == "spec.nodeName");
    assert_eq!(check("metadata.name=a,spec.nodeName=b"), Ok(()));
    assert_eq!(check("x=y").unwrap_err().0, "field label not supported: x");
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(text in "([a-c]( in \\((a|,|b){0,3}\\)|=[a-b]?|!=b|)|![a-c])(,[d-f](=x)?){0,2}") {
        let selector = Labels::parse(&text).unwrap();
        prop_assert_eq!(Labels::parse(&selector.to_string()).unwrap().to_string(), selector.to_string());
    }

    #[test]
    fn nothing_written_makes_it_panic(text in "[a-c!=<>(),. \\\\é]{0,20}") {
        _ = (Labels::parse(&text), Fields::parse(&text));
    }

    #[test]
    fn escaped_values_come_back(value in ".{0,12}") {
        let selector = Fields::parse(&format!("a={}", escape(&value))).unwrap();
        prop_assert_eq!(selector.exact("a"), Some(value.as_str()));
    }
}
