//! Who is it, and may he? Authentication and authorization as pure decisions: time, keys and stored objects come in
//! as arguments. The design is in ARCHITECTURE.md, "Identity".

pub mod attributes;
pub mod bootstrap;
pub mod decision;
pub mod impersonate;
pub mod node;
pub mod rbac;
pub mod review;
pub mod token;
pub mod user;

pub use attributes::{Attributes, RequestInfo};
pub use decision::{Answer, Authorizer, Chain, Decision};
pub use user::User;
