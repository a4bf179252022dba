//! Sums of resources. Main type: [`Amounts`].
//! Spec: <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>.

use std::collections::BTreeMap;

use api::quantity::Quantity;
use serde_json::{Map, Value};

/// Amounts of resources: thousandths of a CPU, bytes, and whole units of anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a CPU.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// Pods; only of nodes.
    pub pods: i64,
    /// Everything else, by name.
    pub extended: BTreeMap<String, i64>,
}

impl Amounts {
    /// Of a map of quantities. What is no quantity counts as nothing: the API lets none in.
    #[must_use]
    pub fn of(quantities: &Map<String, Value>) -> Self {
        let mut amounts = Self::default();
        for (name, value) in quantities {
            if let Ok(quantity) = Quantity::from_json(value) {
                amounts.set(name, &quantity);
            }
        }
        amounts
    }

    fn set(&mut self, name: &str, quantity: &Quantity) {
        match name {
            "cpu" => self.milli_cpu = quantity.milli_value(),
            "memory" => self.memory = quantity.value(),
            "ephemeral-storage" => self.ephemeral_storage = quantity.value(),
            "pods" => self.pods = quantity.value(),
            other => _ = self.extended.insert(other.to_owned(), quantity.value()),
        }
    }

    /// Adds.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    /// Takes away.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, i64::saturating_sub);
        self.extended.retain(|_, amount| *amount != 0);
    }

    /// Of each resource the larger amount.
    pub fn raise_to(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Self, with: fn(i64, i64) -> i64) {
        self.milli_cpu = with(self.milli_cpu, other.milli_cpu);
        self.memory = with(self.memory, other.memory);
        self.ephemeral_storage = with(self.ephemeral_storage, other.ephemeral_storage);
        for (name, amount) in &other.extended {
            match self.extended.get_mut(name) {
                Some(own) => *own = with(*own, *amount),
                None => _ = self.extended.insert(name.clone(), with(0, *amount)),
            }
        }
    }
}
