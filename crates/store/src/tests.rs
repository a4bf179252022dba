//! Tests of the state machine as a whole: its rules as tables, a naive model, and its wire forms.

mod model;
mod rules;
mod wire;
