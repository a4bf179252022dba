//! What clients are told about the types we serve: OpenAPI documents with upstream's names and descriptions.
//!
//! The only crate that depends on k8s-openapi, which is large: nothing on the request path needs it. Everything here
//! is rendered when asked for, from two sources: the type crate's schemas and [`api::facts`].

pub mod openapi;
mod schemas;

pub use schemas::ROWS as KINDS_WITH_SCHEMA;
