//! One field of a schedule: a set of numbers. Main type: [`Field`].

/// What a field may hold.
#[derive(Debug)]
pub(super) struct Bounds {
    min: u64,
    max: u64,
    names: &'static [&'static str],
}

pub(super) const MINUTE: Bounds = Bounds { min: 0, max: 59, names: &[] };
pub(super) const HOUR: Bounds = Bounds { min: 0, max: 23, names: &[] };
pub(super) const DAY: Bounds = Bounds { min: 1, max: 31, names: &[] };
pub(super) const MONTH: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
pub(super) const WEEKDAY: Bounds = Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// Bit of a set that stands for `*`; no number is as high.
const STAR: u64 = 1 << 63;

/// Numbers as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field(u64);

impl Field {
    /// Reads ranges between commas.
    ///
    /// # Errors
    /// What is wrong with which.
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let ranges = text.split(',').filter(|range| !range.is_empty());
        ranges.map(|range| bits(range, bounds)).try_fold(0, |all, one| Ok(all | one?)).map(Self)
    }

    /// Whether a number is let pass.
    pub(super) fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.0 & (1 << number) != 0)
    }

    /// Whether it says nothing.
    pub(super) fn is_star(self) -> bool {
        self.0 & STAR != 0
    }
}

/// `*`, a number or a range, and perhaps a step.
fn bits(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let star = matches!(ends[0], "*" | "?");
    let (start, mut end) = match ends[..] {
        _ if star => (bounds.min, bounds.max),
        [one] => (named(one, bounds)?, named(one, bounds)?),
        [one, other] => (named(one, bounds)?, named(other, bounds)?),
        _ => {
            named(ends[0], bounds)?;
            return Err(format!("too many hyphens: {text}"));
        }
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => number(step)?,
        _ => return Err(format!("too many slashes: {text}")),
    };
    // A number with a step begins a range that ends with the last one there is.
    if parts.len() == 2 && ends.len() == 1 {
        end = bounds.max;
    }
    check(start, end, step, text, bounds)?;
    let range = usize::try_from(step)
        .map_or(1 << start, |step| (start..=end).step_by(step).fold(0, |bits, number| bits | 1 << number));
    Ok(if star && step == 1 { range | STAR } else { range })
}

fn check(start: u64, end: u64, step: u64, text: &str, bounds: &Bounds) -> Result<(), String> {
    let Bounds { min, max, .. } = bounds;
    if start < *min {
        return Err(format!("beginning of range ({start}) below minimum ({min}): {text}"));
    }
    if end > *max {
        return Err(format!("end of range ({end}) above maximum ({max}): {text}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn named(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let name = bounds.names.iter().zip(bounds.min..).find(|(name, _)| name.eq_ignore_ascii_case(text));
    name.map_or_else(|| number(text), |(_, number)| Ok(number))
}

fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let quoted = crate::gotext::quote(text);
    let wrong = |why: &str| format!("failed to parse int from {text}: strconv.Atoi: parsing {quoted}: {why}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("invalid syntax"));
    }
    let number: i64 = text.parse().map_err(|_| wrong("value out of range"))?;
    u64::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}"))
}
