//! Who is at the other end of a connection. The identities themselves are [`membership`]'s.

pub use membership::id::NodeIdError;
pub use membership::{NodeId, Role};

/// Who is at the other end, proven by its key; never by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Showed no key that the membership knows.
    Anonymous,
    /// A member, in its present role.
    Member(NodeId, Role),
}
