//! A survivor that is recovered serves again.

/// The complaint about one that does not.
pub(crate) fn refused(why: impl ToString) -> String {
    why.to_string()
}
