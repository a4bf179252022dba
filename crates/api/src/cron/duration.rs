//! Durations as Go writes them: `1h30m`. Main function: [`parse`]. Spec: <https://pkg.go.dev/time#ParseDuration>.

/// Units and their nanoseconds.
const UNITS: &[(&str, i128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
];

const SECOND: i128 = 1_000_000_000;

/// Digits of a fraction that count: below them are no nanoseconds.
const FRACTION: usize = 18;

/// Whole seconds of a duration.
///
/// # Errors
/// It is none, in Go's words.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let quoted = crate::gotext::quote(text);
    let invalid = || format!("time: invalid duration {quoted}");
    let (sign, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {quoted}"));
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let unknown = || format!("time: unknown unit {} in duration {quoted}", crate::gotext::quote(unit));
        let (_, nanos) = known.ok_or_else(unknown)?;
        let amount = amount(whole, fraction, *nanos).ok_or_else(invalid)?;
        total = total.checked_add(amount).filter(|total| *total <= i128::from(i64::MAX)).ok_or_else(invalid)?;
        rest = after;
    }
    i64::try_from(sign * total / SECOND).map_err(|_| invalid())
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Nanoseconds; `None` where they are too many.
fn amount(whole: &str, fraction: &str, unit: i128) -> Option<i128> {
    let fraction = &fraction[..fraction.len().min(FRACTION)];
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i64>().ok().map(i128::from) };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    number(whole)?.checked_mul(unit)?.checked_add(number(fraction)?.checked_mul(unit)? / scale)
}
