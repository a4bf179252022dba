//! Quantities: `100m`, `1.5Gi`, `1e3`. Exact arithmetic in billionths, and the one canonical way to write each.
//!
//! Main type: [`Quantity`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.
//! Leaves out: values past 10^29, which upstream holds in big integers and we refuse.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde_json::Value;

/// Billionths in a unit: the finest step a quantity has.
const NANO: i128 = 1_000_000_000;

/// Longest text looked at; upstream has no bound, no real quantity comes near.
const TEXT_MAX: usize = 128;

/// Digits below which upstream takes its fast path, which keeps the text as written if it looks canonical.
const FAST_DIGITS: usize = 18;

/// How a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `1k`, `1M`: powers of ten by suffix.
    DecimalSi,
    /// `1Ki`, `1Mi`: powers of two by suffix.
    BinarySi,
    /// `1e3`: powers of ten by exponent.
    DecimalExponent,
}

/// An amount and how it is written.
#[derive(Clone, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
    text: Option<String>,
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It is not a number and a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number is malformed, or too large.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// Decimal suffixes and their exponents.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// Binary suffixes, each 1024 times the one before.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

impl Quantity {
    /// A number of billionths.
    #[must_use]
    pub const fn from_nanos(nanos: i128, format: Format) -> Self {
        Self { nanos, format, text: None }
    }

    /// A JSON string or number, as either may stand where a quantity is wanted.
    ///
    /// # Errors
    /// Where it is neither, or no quantity.
    pub fn from_json(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::String(text) => text.trim().parse(),
            Value::Number(number) => number.to_string().parse(),
            _ => Err(QuantityError::Format),
        }
    }

    /// The amount in billionths.
    #[must_use]
    pub const fn nanos(&self) -> i128 {
        self.nanos
    }

    /// The amount in thousandths, rounded away from zero, at most what fits.
    #[must_use]
    pub fn milli_value(&self) -> i64 {
        clamp(div_away(self.nanos, NANO / 1000))
    }

    /// The amount in whole units, rounded away from zero, at most what fits.
    #[must_use]
    pub fn value(&self) -> i64 {
        clamp(div_away(self.nanos, NANO))
    }

    /// The same, at the precision that amounts of resources have: thousandths, rounded away from zero.
    #[must_use]
    pub fn rounded_to_milli(self) -> Self {
        let step = NANO / 1000;
        match self.nanos % step {
            0 => self,
            _ => Self::from_nanos(div_away(self.nanos, step) * step, self.format),
        }
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// The sum, written as the left one unless that is zero. Saturates.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self::from_nanos(self.nanos.saturating_add(other.nanos), format)
    }

    /// The difference, written as the left one unless that is zero. Saturates.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self::from_nanos(self.nanos.saturating_sub(other.nanos), format)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let parts = split(text)?;
        let (format, exponent) = interpret(parts.suffix)?;
        let digits = format!("{}{}", parts.whole, parts.fraction);
        let number: i128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| QuantityError::Numeric)? };
        let scale = i32::try_from(parts.fraction.len()).map_err(|_| QuantityError::Numeric)?;
        let magnitude = match format {
            Format::BinarySi => binary(number, exponent, scale)?,
            _ => power(number, exponent - scale + 9)?,
        };
        let nanos = if parts.negative { -magnitude } else { magnitude };
        let small = format == Format::BinarySi && (1..NANO).contains(&magnitude);
        let format = if small { Format::DecimalSi } else { format };
        let kept = nanos != 0 && keeps_text(&digits, number, format, exponent - scale, !parts.fraction.is_empty());
        Ok(Self { nanos, format, text: kept.then(|| text.to_owned()) })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        let large = self.nanos.abs() >= 1024 * NANO;
        match self.format {
            Format::BinarySi if large && self.nanos % NANO == 0 => write_binary(self.nanos / NANO, f),
            Format::DecimalExponent => write_decimal(self.nanos, true, f),
            _ => write_decimal(self.nanos, false, f),
        }
    }
}

/// Upstream's fast path keeps what was written where it takes it for canonical (`+5`, `05` and `1E3` pass).
fn keeps_text(digits: &str, number: i128, format: Format, exponent: i32, fraction: bool) -> bool {
    let significant = digits.trim_start_matches('0');
    if digits.len() > FAST_DIGITS {
        return false;
    }
    match format {
        Format::BinarySi => !fraction && number & 7 != 0 && significant.len() as i32 + exponent * 3 / 10 < 15,
        _ => exponent % 3 == 0 && exponent >= -9 && !digits.ends_with("000") && (!fraction || !digits.starts_with('0')),
    }
}

fn split(text: &str) -> Result<Parts<'_>, QuantityError> {
    if text.is_empty() || text.len() > TEXT_MAX {
        return Err(QuantityError::Format);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, rest) = take_digits(unsigned);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), take_digits);
    let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let exponent = letters.strip_prefix(['+', '-']).unwrap_or(letters);
    if !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(if rest.starts_with('.') || suffix.is_empty() {
            QuantityError::Format
        } else {
            QuantityError::Numeric
        });
    }
    Ok(Parts { negative: text.starts_with('-'), whole, fraction, suffix })
}

fn take_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn interpret(suffix: &str) -> Result<(Format, i32), QuantityError> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Ok((Format::DecimalSi, *exponent));
    }
    if let Some(steps) = BINARY.iter().position(|known| *known == suffix) {
        return Ok((Format::BinarySi, i32::try_from(steps * 10).map_err(|_| QuantityError::Suffix)?));
    }
    let digits = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
    let exponent: i32 = digits.parse().map_err(|_| QuantityError::Suffix)?;
    Ok((Format::DecimalExponent, exponent.clamp(-1000, 1000)))
}

/// `number * 10^exponent`, rounded up.
fn power(number: i128, exponent: i32) -> Result<i128, QuantityError> {
    if number == 0 {
        return Ok(0);
    }
    let factor = 10i128.checked_pow(exponent.unsigned_abs());
    match (exponent >= 0, factor) {
        (true, factor) => factor.and_then(|factor| number.checked_mul(factor)).ok_or(QuantityError::Numeric),
        (false, Some(factor)) => Ok(div_away(number, factor)),
        (false, None) => Ok(1),
    }
}

/// `number * 10^-scale * 2^exponent` in billionths, rounded up, capped at the largest 64-bit integer.
fn binary(number: i128, exponent: i32, scale: i32) -> Result<i128, QuantityError> {
    let cap = i128::from(i64::MAX) * NANO;
    let scaled = number.checked_mul(1 << exponent).and_then(|units| power(units, 9 - scale).ok());
    match scaled {
        Some(nanos) => Ok(nanos.min(cap)),
        None if scale == 0 => Ok(cap),
        None => Err(QuantityError::Numeric),
    }
}

fn write_decimal(nanos: i128, exponent_form: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if nanos == 0 {
        return f.write_str("0");
    }
    let (mut number, mut exponent) = (nanos, -9);
    while number % 1000 == 0 && exponent < 18 {
        number /= 1000;
        exponent += 3;
    }
    match DECIMAL.iter().find(|(_, known)| *known == exponent) {
        Some((suffix, _)) if !exponent_form => write!(f, "{number}{suffix}"),
        _ if exponent == 0 => write!(f, "{number}"),
        _ => write!(f, "{number}e{exponent}"),
    }
}

fn write_binary(units: i128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mut number, mut step) = (units, 0);
    while number % 1024 == 0 && step + 1 < BINARY.len() {
        number /= 1024;
        step += 1;
    }
    write!(f, "{number}{}", BINARY[step])
}

fn div_away(number: i128, by: i128) -> i128 {
    let quotient = number / by;
    if number % by == 0 { quotient } else { quotient + number.signum() }
}

fn clamp(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, canonical: &str) {
        let parsed: Quantity = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed.to_string(), canonical, "{text}");
        assert_eq!(canonical.parse::<Quantity>().unwrap(), parsed, "{text}");
    }

    #[test]
    fn writes_the_canonical_form() {
        for same in ["0", "1", "100m", "1500m", "1k", "5M", "100Mi", "1Gi", "1e3", "-5", "7Ei", "1n", "12345"] {
            check(same, same);
        }
        let cases = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1000k", "1M"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.1Gi", "107374182400m"),
            ("1.5k", "1500"),
            ("1.0", "1"),
            ("0.0", "0"),
            ("1Ki", "1Ki"),
            ("512", "512"),
            ("0.5Ki", "512"),
            ("1000e0", "1e3"),
            ("1e-1", "100e-3"),
            ("0.1n", "1n"),
            ("-0.1n", "-1n"),
            ("100Ei", "9223372036854775807"),
            ("0Mi", "0"),
            ("1000000", "1M"),
            ("2048Ki", "2Mi"),
            (".5", "500m"),
            ("1.", "1."),
        ];
        cases.into_iter().for_each(|(text, canonical)| check(text, canonical));
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        let cases = [
            ("", QuantityError::Format),
            ("1 Mi", QuantityError::Format),
            ("1.2.3", QuantityError::Format),
            ("0x1", QuantityError::Format),
            ("1K", QuantityError::Suffix),
            ("1mi", QuantityError::Suffix),
            ("1ee3", QuantityError::Suffix),
            ("Mi", QuantityError::Numeric),
            ("1e50", QuantityError::Numeric),
        ];
        cases.into_iter().for_each(|(text, error)| assert_eq!(text.parse::<Quantity>().unwrap_err(), error, "{text}"));
    }

    #[test]
    fn reckons_exactly() {
        let of = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(of("100m").plus(&of("0.9")).to_string(), "1");
        assert_eq!(of("1Gi").minus(&of("1Mi")).to_string(), "1023Mi");
        assert_eq!(of("0").plus(&of("1Mi")).to_string(), "1Mi");
        assert_eq!((of("1.1").value(), of("1.0001").milli_value(), of("-1.1").value()), (2, 1001, -2));
        assert!(of("1Ki") > of("1k") && of("1000m") == of("1"));
    }

    proptest! {
        #[test]
        fn the_canonical_form_reads_back(nanos in -10i128.pow(27)..10i128.pow(27), form in 0usize..3) {
            let format = [Format::DecimalSi, Format::BinarySi, Format::DecimalExponent][form];
            let quantity = Quantity::from_nanos(nanos, format);
            let again: Quantity = quantity.to_string().parse().unwrap();
            prop_assert_eq!(&again, &quantity);
            prop_assert_eq!(again.to_string(), quantity.to_string());
        }

        #[test]
        fn no_text_makes_it_panic(text in "[+-]?[0-9.]{0,30}[a-zA-Z]{0,3}[+-]?[0-9]{0,12}") {
            _ = text.parse::<Quantity>().map(|quantity| quantity.to_string());
        }
    }
}
