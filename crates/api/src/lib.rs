//! What things are: Kubernetes objects as JSON values (API level 1.36), and every rule that needs no clock, no
//! randomness and no I/O. The design is in ARCHITECTURE.md, "API".

pub mod address;
pub mod apply;
pub mod cron;
pub mod default;
pub mod facts;
pub mod field;
pub mod gotext;
pub mod key;
pub mod kinds;
pub mod limits;
pub mod managed;
pub mod meta;
pub mod names;
pub mod object_meta;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod quota;
pub mod schema;
pub mod selector;
pub mod status;
pub mod strategic;
pub mod strict;
