//! What is measured and how it is shown: [`Row`] and [`Measured`].

use anyhow::Result;
use serde::Serialize;

use super::{lab::Lab, sample::Sample};

/// One thing to measure; `rows.rs` has them all.
#[derive(Debug)]
pub(crate) struct Row {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What it measures, in a few words.
    pub(crate) what: &'static str,
    /// Unit of its value.
    pub(crate) unit: &'static str,
    /// Unit of the processor time it takes.
    pub(crate) cpu_unit: &'static str,
    /// What it is compared with: a value, and processor time where that is known.
    pub(crate) reference: Option<(f64, Option<f64>)>,
    /// Measures it.
    pub(crate) run: fn(&mut Lab) -> Result<Measured>,
}

/// What came of a row.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    /// In the row's unit.
    pub(crate) value: f64,
    /// Milliseconds of the middle operation and of the slowest in a hundred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<[f64; 2]>,
    /// Processor time, in the row's unit for it.
    pub(crate) cpu: f64,
    /// What else there is to tell.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

impl Measured {
    /// Operations a second; microseconds of processor time for each.
    pub(crate) fn rate(sample: &Sample) -> Self {
        let value = sample.operations as f64 / sample.seconds;
        Self { value, latency: Some([sample.p50, sample.p99]), cpu: sample.cpu, note: String::new() }
    }

    /// Milliseconds of the middle operation; milliseconds of processor time for each.
    pub(crate) fn time(sample: &Sample) -> Self {
        let note = format!("{} runs", sample.operations);
        Self { value: sample.p50, latency: Some([sample.p50, sample.p99]), cpu: sample.cpu / 1e3, note }
    }
}

/// Prints the table's head.
pub(crate) fn print_head() {
    println!(
        "{:<16} {:<36} {:>15} {:>8} {:>8} {:>15} {:>23} {:>5}",
        "row", "what", "value", "p50 ms", "p99 ms", "CPU", "reference: value, CPU", "load"
    );
}

impl Row {
    /// Prints what came of it; `load` is the machine's load average before.
    pub(crate) fn print(&self, measured: &Measured, load: f64) {
        let [p50, p99] =
            measured.latency.map_or_else(Default::default, |latency| latency.map(|time| format!("{time:.2}")));
        let reference = self.reference.map_or_else(String::new, |(value, cpu)| match cpu {
            Some(cpu) => format!("{}, {}", short(value), short(cpu)),
            None => short(value),
        });
        let value = format!("{} {}", short(measured.value), self.unit);
        let cpu = format!("{} {}", short(measured.cpu), self.cpu_unit);
        println!(
            "{:<16} {:<36} {value:>15} {p50:>8} {p99:>8} {cpu:>15} {reference:>23} {load:>5.1}  {}",
            self.name, self.what, measured.note
        );
    }

    /// The same for programs.
    pub(crate) fn json(&self, measured: &Measured, load: f64) -> serde_json::Value {
        let reference = self.reference.map(|(value, cpu)| serde_json::json!({ "value": value, "cpu": cpu }));
        serde_json::json!({
            "name": self.name, "what": self.what, "unit": self.unit, "cpuUnit": self.cpu_unit,
            "measured": measured, "reference": reference, "loadAverage": load,
        })
    }
}

/// Three digits or all before the point.
fn short(value: f64) -> String {
    let digits = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}
