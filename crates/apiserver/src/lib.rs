//! The Kubernetes API over any [`store::Storage`]: HTTPS in front, one generic path for every kind behind it.
//!
//! A request's way: [`http`] takes the bytes, [`serve`] finds out who asks for what, [`pipeline`] authorizes and
//! answers ([`verbs`]), [`render`] writes the answer. Writers decide on a snapshot and commit with guards ([`commit`]).
//! The design is in ARCHITECTURE.md, "API".

pub mod admit;
pub mod allocate;
pub mod authn;
pub mod authz;
pub mod bootstrap;
pub mod cache;
pub mod client;
pub mod commit;
pub mod config;
pub mod documents;
pub mod form;
pub mod health;
pub mod http;
mod lifecycle;
pub mod metrics;
pub mod object;
pub mod options;
pub mod ownership;
pub mod page;
pub mod pipeline;
pub mod render;
pub mod reviews;
pub mod route;
pub mod secrets;
pub mod select;
pub mod serve;
pub mod server;
pub mod shared;
pub mod status;
pub mod streams;
pub mod token_request;
pub mod tokens;
pub mod verbs;
pub mod version;

pub use client::Client;
pub use config::{Config, ConfigError};
pub use secrets::Secrets;
pub use server::{ApiServer, StartError};
pub use status::ApiError;
