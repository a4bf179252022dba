//! Reads what the kernel holds from the JSON that `nft -j -nn list table` prints (libnftables-json(5)). Pure.
//! Main type: [`Present`].

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::program::Element;

/// Maps that packets fill, not we.
const PACKETS_OWN: &str = "affinity";

/// A listing that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the listing of the table is not what nft prints elsewhere")]
pub struct UnreadableListing(#[source] serde_json::Error);

/// Chains and elements in the kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// Names.
    pub(super) chains: BTreeSet<String>,
    /// Of all sets that we fill.
    pub(super) elements: BTreeSet<Element>,
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    chain: Option<Named>,
    map: Option<Filled>,
    set: Option<Filled>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Filled {
    name: String,
    #[serde(default)]
    elem: Vec<Value>,
}

impl Present {
    /// From the program's output.
    pub(super) fn read(json: &[u8]) -> Result<Self, UnreadableListing> {
        let listing: Listing = serde_json::from_slice(json).map_err(UnreadableListing)?;
        let mut present = Self::default();
        for entry in listing.nftables {
            present.chains.extend(entry.chain.map(|chain| chain.name));
            if let Some(map) = entry.map.filter(|map| !map.name.starts_with(PACKETS_OWN)) {
                let pairs = map.elem.iter().filter_map(Value::as_array);
                let element = |pair: &Vec<Value>| Some((words(pair.first()?), words(pair.get(1)?)));
                present.extend(&map.name, pairs.filter_map(element));
            }
            if let Some(set) = entry.set {
                present.extend(&set.name, set.elem.iter().map(|key| (words(key), String::new())));
            }
        }
        Ok(present)
    }

    fn extend(&mut self, set: &str, elements: impl Iterator<Item = (String, String)>) {
        self.elements.extend(elements.map(|(key, data)| Element { set: set.to_owned(), key, data }));
    }
}

/// An expression as we write it. What we never write becomes something that equals nothing of ours.
fn words(expression: &Value) -> String {
    match expression {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Object(fields) => match fields.iter().next() {
            Some((name, Value::Array(parts))) if name == "concat" => {
                parts.iter().map(words).collect::<Vec<_>>().join(" . ")
            }
            Some((name, target)) if name == "goto" => {
                format!("goto {}", target.get("target").and_then(Value::as_str).unwrap_or_default())
            }
            Some((name, Value::Null)) => name.clone(),
            _ => expression.to_string(),
        },
        _ => expression.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nft_prints() {
        let json = br#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"name": "mesh"}},
            {"map": {"name": "slots4", "elem": [[{"concat": ["10.43.0.5", 17, 53, 3]}, {"concat": ["10.42.0.7", 53]}]]}},
            {"map": {"name": "services4", "elem": [[{"concat": ["10.43.0.5", 6, 80]}, {"goto": {"target": "serve4_3"}}]]}},
            {"map": {"name": "refused4", "elem": [[{"concat": ["10.43.0.6", 6, 80]}, {"drop": null}]]}},
            {"map": {"name": "affinity4", "elem": [[{"concat": ["1.2.3.4"]}, 5]]}}, {"map": {"name": "ids4"}},
            {"set": {"name": "addresses4", "elem": ["10.43.0.5"]}}, {"chain": {"name": "serve4_3"}}]}"#;
        let present = Present::read(json).unwrap();
        let texts = present.elements.iter().map(|one| format!("{} {} : {}", one.set, one.key, one.data));
        assert_eq!(
            texts.collect::<Vec<_>>(),
            [
                "addresses4 10.43.0.5 : ",
                "refused4 10.43.0.6 . 6 . 80 : drop",
                "services4 10.43.0.5 . 6 . 80 : goto serve4_3",
                "slots4 10.43.0.5 . 17 . 53 . 3 : 10.42.0.7 . 53",
            ]
        );
        assert_eq!(present.chains, BTreeSet::from(["serve4_3".to_owned()]));
        assert!(Present::read(b"{}").is_err());
    }
}
