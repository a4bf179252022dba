//! Reads the settings of a node: defaults, then file, then `MESH_*` variables, then flags. Unknown fields are refused.

use std::path::Path;

use actors::Config;
use anyhow::{Context, Result, anyhow};
use figment::Figment;
use figment::providers::Serialized;
use serde_json::{Map, Value, json};

use crate::cli::NodeArgs;

/// Largest configuration file, in bytes; hundreds of settings fit.
const FILE_LIMIT: u64 = 1 << 20;

/// Longest value repeated in an error, in bytes.
const SHOWN_LIMIT: usize = 200;

/// The settings that this command line stands for, checked.
pub(crate) fn load(args: &NodeArgs) -> Result<Config> {
    let defaults = serde_json::to_value(Config::default())?;
    let mut figment = Figment::from(Serialized::defaults(&defaults));
    if let Some(path) = &args.config {
        let file = read(path).with_context(|| format!("configuration file {}", path.display()))?;
        known_fields(&file).with_context(|| format!("configuration file {}", path.display()))?;
        figment = figment.merge(Serialized::defaults(file));
    }
    // Other programs name variables MESH_ too (Kubernetes itself, for a Service of that name): only settings count.
    for (name, default) in defaults.as_object().into_iter().flatten() {
        let variable = variable(name);
        if let Ok(text) = std::env::var(&variable) {
            // YAML, as in the file; where a text is wanted, the text itself.
            let value = if default.is_string() { Ok(Value::String(text)) } else { serde_saphyr::from_str(&text) };
            figment = figment.merge((name.as_str(), value.with_context(|| variable)?));
        }
    }
    let figment = figment.merge(Serialized::defaults(flags(args)));
    let config: Config = figment.extract().map_err(|error| words(&figment, &error))?;
    config.check()?;
    Ok(config)
}

fn read(path: &Path) -> Result<Value> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_LIMIT + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() as u64 <= FILE_LIMIT, "larger than {FILE_LIMIT} bytes");
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    let value: Value = serde_saphyr::from_str(&text)?;
    anyhow::ensure!(value.is_object(), "not a mapping of settings");
    Ok(value)
}

/// Decodes the file alone, so that what it holds wrong is told with the file's name.
fn known_fields(file: &Value) -> Result<()> {
    let figment = Figment::from(Serialized::defaults(Config::default())).merge(Serialized::defaults(file));
    figment.extract::<Config>().map(drop).map_err(|error| words(&figment, &error))
}

/// The setting, its value, and what is wrong with it.
fn words(figment: &Figment, error: &figment::Error) -> anyhow::Error {
    let path = error.path.join(".");
    match figment.find_value(&path).ok().and_then(|value| serde_json::to_string(&value).ok()) {
        Some(value) if !path.is_empty() && value.len() <= SHOWN_LIMIT => anyhow!("{path}: {value}: {}", error.kind),
        _ => anyhow!("{}", error.kind),
    }
}

/// `dataDir` is `MESH_DATA_DIR`.
fn variable(setting: &str) -> String {
    let mut name = "MESH_".to_owned();
    for letter in setting.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Only the flags that were given.
fn flags(args: &NodeArgs) -> Value {
    let all = json!({
        "dataDir": args.data_dir,
        "name": args.name,
        "listen": args.listen,
        "apiListen": args.api_listen,
        "podsListen": args.pods_listen,
        "stateDir": args.state_dir,
        "pods": args.no_pods.then_some(false),
        "containerd": args.containerd_socket.as_ref().map(|socket| json!({ "socket": socket })),
        "advertise": if args.advertise.is_empty() { Value::Null } else { json!(args.advertise) },
        "zone": args.zone,
        "voter": args.voter,
        "chaosHooks": args.chaos_hooks,
    });
    let given = |all: Map<String, Value>| all.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>();
    match all {
        Value::Object(all) => Value::Object(given(all)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(file: &str, args: NodeArgs) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.yaml");
        std::fs::write(&path, file).unwrap();
        load(&NodeArgs { config: Some(path), ..args })
    }

    fn check_error(file: &str, part: &str) {
        let error = crate::telemetry::chain(&load_with(file, NodeArgs::default()).unwrap_err());
        assert!(error.contains(part), "{part:?} is missing in {error:?}");
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let args = NodeArgs { name: Some("flag".into()), ..NodeArgs::default() };
        let config = load_with("name: file\nzone: z1\nconsensus:\n  cache_bytes: 1024\n", args).unwrap();
        assert_eq!((config.name.as_str(), config.zone.as_str(), config.consensus.cache_bytes), ("flag", "z1", 1024));
        assert_eq!(config.api_listen.port(), 6443);
    }

    #[test]
    fn what_is_wrong_is_named() {
        check_error("nmae: n1\n", "nmae: \"n1\": unknown field");
        check_error("listen: nowhere\n", "nowhere");
        check_error("maxVoters: 4\n", "maxVoters: 4");
        check_error("- a\n", "not a mapping");
        check_error("a: [\n", "mesh.yaml");
        let missing = NodeArgs { config: Some("/does/not/exist.yaml".into()), ..NodeArgs::default() };
        assert!(crate::telemetry::chain(&load(&missing).unwrap_err()).contains("/does/not/exist.yaml"));
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "figment's own error type")]
    fn a_variable_of_two_words_is_a_setting_and_a_strange_one_is_nobodys() {
        figment::Jail::expect_with(|jail| {
            jail.set_env("MESH_DATA_DIR", "/somewhere");
            jail.set_env("MESH_SERVICE_HOST", "10.43.0.9");
            jail.set_env("MESH_POD_RANGES", "[10.9.0.0/16]");
            let config = load(&NodeArgs::default()).expect("good settings");
            assert_eq!((config.data_dir.as_path(), config.pod_ranges.len()), (Path::new("/somewhere"), 1));
            assert_eq!(config.pod_ranges[0].to_string(), "10.9.0.0/16");
            Ok(())
        });
    }
}
