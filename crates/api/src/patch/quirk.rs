//! What upstream's JSON Patch accepts beyond RFC 6902, and clients rely on: indices from the end, and the test that a field is
//! absent (`{"op": "test", "path": "/metadata/finalizers", "value": null}`). Main functions: [`tests_absence`], [`from_the_start`].
//! Spec: <https://github.com/evanphx/json-patch/blob/v4.12.0/README.md>, which the API server applies patches with.

use json_patch::PatchOperation;
use json_patch::jsonptr::{Pointer, PointerBuf, Token};
use serde_json::Value;

/// Whether it tests that an object lacks a field, or has null there, and that is so.
pub(super) fn tests_absence(object: &Value, operation: &PatchOperation) -> bool {
    let PatchOperation::Test(test) = operation else { return false };
    let Some((parent, field)) = test.path.split_back() else { return false };
    let parent = object.pointer(parent.as_str()).and_then(Value::as_object);
    test.value.is_null() && parent.is_some_and(|parent| parent.get(&*field.decoded()).is_none_or(Value::is_null))
}

/// The operation with each index that counts from the end of its list (`-1` is the last item) counted from the start.
pub(super) fn from_the_start(object: &Value, mut operation: PatchOperation) -> PatchOperation {
    match &mut operation {
        PatchOperation::Add(add) => add.path = counted(object, &add.path, 1),
        PatchOperation::Remove(remove) => remove.path = counted(object, &remove.path, 0),
        PatchOperation::Replace(replace) => replace.path = counted(object, &replace.path, 0),
        PatchOperation::Test(test) => test.path = counted(object, &test.path, 0),
        PatchOperation::Copy(copy) => {
            (copy.from, copy.path) = (counted(object, &copy.from, 0), counted(object, &copy.path, 1));
        }
        PatchOperation::Move(moved) => {
            // Within a list, what is added was taken out before.
            let grown = usize::from(moved.from.parent() != moved.path.parent());
            (moved.from, moved.path) = (counted(object, &moved.from, 0), counted(object, &moved.path, grown));
        }
    }
    operation
}

/// `grown`: by how many items the list at the end of the path is longer afterwards; `-1` is the last of those.
fn counted(object: &Value, path: &Pointer, grown: usize) -> PointerBuf {
    let last = path.count().saturating_sub(1);
    let mut at = Some(object);
    let mut tokens = Vec::new();
    for (number, token) in path.tokens().enumerate() {
        let grown = if number == last { grown } else { 0 };
        let token =
            at.and_then(Value::as_array).and_then(|items| from_end(&token, items.len() + grown)).unwrap_or(token);
        at = at.and_then(|value| value.pointer(&format!("/{}", token.encoded())));
        tokens.push(token);
    }
    PointerBuf::from_tokens(tokens)
}

/// `None` where the index is none from the end, or lies before the start.
fn from_end(token: &Token<'_>, length: usize) -> Option<Token<'static>> {
    let back: usize = token.encoded().strip_prefix('-')?.parse().ok()?;
    (back > 0).then(|| length.checked_sub(back)).flatten().map(Token::from)
}
