//! What tests and the demo are made with; no part of `mesh`.

pub mod image;
