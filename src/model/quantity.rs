//! Kubernetes quantities (`250m`, `1.5Gi`, `1e3`): exact values, rounded up only when a unit is asked for.
//!
//! Grammar, rounding and canonical form follow
//! `staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go`: at most nine decimal places (finer ones
//! round away from zero), magnitude capped at 2^63-1, printed with the largest suffix that loses nothing.

use std::fmt;

/// Billionths in one unit.
const NANO: i128 = 1_000_000_000;
/// The largest magnitude a quantity may have, in billionths.
const CAP: i128 = i64::MAX as i128 * NANO;
const WRONG_FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Which family of suffixes a quantity was written with, and is printed with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Format {
    /// `n u m k M G T P E` or none.
    #[default]
    DecimalSi,
    /// `Ki Mi Gi Ti Pi Ei`.
    BinarySi,
    /// `e3`, `E6`.
    DecimalExponent,
}

/// An exact amount of a resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    /// The value in billionths of a unit.
    pub nano: i128,
    /// The suffix family it prints with.
    pub format: Format,
}

impl PartialEq for Quantity {
    /// By value: `1Gi` equals `1024Mi` and `1073741824`.
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl Quantity {
    /// `n` whole units, printed in decimal.
    pub const fn units(n: i64) -> Self {
        Quantity { nano: n as i128 * NANO, format: Format::DecimalSi }
    }
    /// `n` thousandths (milli-CPU), printed in decimal.
    pub const fn from_milli(n: i64) -> Self {
        Quantity { nano: n as i128 * (NANO / 1_000), format: Format::DecimalSi }
    }
    /// `n` bytes, printed with binary suffixes.
    pub const fn bytes(n: i64) -> Self {
        Quantity { nano: n as i128 * NANO, format: Format::BinarySi }
    }
    /// Thousandths, rounded away from zero as `MilliValue` does; saturates at the ends of `i64`.
    pub fn milli(self) -> i64 {
        saturate(divide_up(self.nano, NANO / 1_000))
    }
    /// Whole units, rounded away from zero as `Value` does.
    pub fn whole(self) -> i64 {
        saturate(divide_up(self.nano, NANO))
    }
    /// As a float, for reports and sampled distributions only.
    pub fn as_f64(self) -> f64 {
        self.nano as f64 / NANO as f64
    }
}

/// Division that rounds away from zero.
fn divide_up(value: i128, by: i128) -> i128 {
    let quotient = value / by;
    if value % by == 0 { quotient } else { quotient + value.signum() }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Reads a quantity.
///
/// # Errors
/// Kubernetes' own sentence: the pattern a quantity must match, or that its suffix is unknown.
pub fn parse_quantity(text: &str) -> Result<Quantity, String> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(number_len);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(WRONG_FORMAT.to_string());
    }
    let (base, exponent, format) = scale(suffix)?;
    let magnitude = magnitude(whole, fraction, base, exponent);
    Ok(Quantity { nano: if negative { -magnitude } else { magnitude }, format })
}

/// What a suffix multiplies by, as `base^exponent`, and its family.
fn scale(suffix: &str) -> Result<(i128, i32, Format), String> {
    let decimal = |exponent| Ok((10, exponent, Format::DecimalSi));
    let binary = |exponent| Ok((1024, exponent, Format::BinarySi));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            if !suffix.is_ascii() || suffix.chars().any(|c| !"eEinumkKMGTP+-0123456789".contains(c)) {
                return Err(WRONG_FORMAT.to_string());
            }
            let exponent = suffix.strip_prefix(['e', 'E']).and_then(|digits| digits.parse::<i32>().ok());
            let exponent = exponent.ok_or("unable to parse quantity's suffix")?;
            Ok((10, exponent, Format::DecimalExponent))
        }
    }
}

/// `whole.fraction * base^exponent` in billionths, rounded away from zero and capped.
fn magnitude(whole: &str, fraction: &str, base: i128, exponent: i32) -> i128 {
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let significant: Vec<u8> = digits.iter().copied().skip_while(|d| *d == 0).collect();
    if significant.is_empty() {
        return 0;
    }
    // Value = mantissa * 10^tens, then times 1024^exponent for binary suffixes. 36 digits are far beyond the
    // cap and the smallest step; what is cut off still rounds up.
    let kept = significant.len().min(36);
    let mut mantissa = significant[..kept].iter().fold(0i128, |sum, d| sum * 10 + i128::from(*d));
    let cut = significant[kept..].iter().any(|d| *d != 0);
    let mut tens = (significant.len() - kept) as i64 - fraction.len() as i64 + 9;
    if base == 10 {
        tens += i64::from(exponent);
    } else {
        for _ in 0..exponent {
            mantissa = match mantissa.checked_mul(1024) {
                Some(product) => product,
                // Too many digits for exact arithmetic: drop three, rounding up.
                None => {
                    tens += 3;
                    divide_up(mantissa, 1_000) * 1024
                }
            };
        }
    }
    while tens > 0 {
        mantissa = mantissa.saturating_mul(10);
        tens -= 1;
        if mantissa > CAP {
            return CAP;
        }
    }
    let mut inexact = cut;
    while tens < 0 && mantissa > 0 {
        inexact |= mantissa % 10 != 0;
        mantissa /= 10;
        tens += 1;
    }
    (mantissa + i128::from(inexact)).min(CAP)
}

impl fmt::Display for Quantity {
    /// Canonical form: the largest suffix that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        // Small or fractional amounts print in decimal even if they were written with a binary suffix.
        let binary = self.format == Format::BinarySi && self.nano.abs() >= 1024 * NANO && self.nano % NANO == 0;
        if binary {
            let (mut mantissa, mut step) = (self.nano / NANO, 0);
            while mantissa % 1024 == 0 && step < 6 {
                mantissa /= 1024;
                step += 1;
            }
            return write!(f, "{mantissa}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][step]);
        }
        let (mut mantissa, mut exponent) = (self.nano, -9);
        while mantissa % 1_000 == 0 && exponent < 18 {
            mantissa /= 1_000;
            exponent += 3;
        }
        match (self.format, exponent) {
            (Format::DecimalExponent, 0) => write!(f, "{mantissa}"),
            (Format::DecimalExponent, _) => write!(f, "{mantissa}e{exponent}"),
            _ => {
                let suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
                write!(f, "{mantissa}{}", suffixes[((exponent + 9) / 3) as usize])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_read_and_print_as_kubernetes_does() {
        // (written, milli rounded up, whole rounded up, canonical)
        let table: &[(&str, i64, i64, &str)] = &[
            ("0", 0, 0, "0"),
            ("0.5", 500, 1, "500m"),
            ("250m", 250, 1, "250m"),
            ("1024Mi", 1_073_741_824_000, 1_073_741_824, "1Gi"),
            ("1.5Gi", 1_610_612_736_000, 1_610_612_736, "1536Mi"),
            ("1000", 1_000_000, 1_000, "1k"),
            ("1e3", 1_000_000, 1_000, "1e3"),
            ("12E6", 12_000_000_000, 12_000_000, "12e6"),
            ("100", 100_000, 100, "100"),
            ("512Ki", 524_288_000, 524_288, "512Ki"),
            ("0.1Ki", 102_400, 103, "102400m"),
            ("1023", 1_023_000, 1_023, "1023"),
            ("0.1m", 1, 1, "100u"),
            ("0.0000000001", 1, 1, "1n"),
            (".5", 500, 1, "500m"),
            ("5.", 5_000, 5, "5"),
            ("-1.5", -1_500, -2, "-1500m"),
            ("+3", 3_000, 3, "3"),
            ("1e-3", 1, 1, "1e-3"),
            ("9Ei", i64::MAX, i64::MAX, "9223372036854775807"),
            ("1e100", i64::MAX, i64::MAX, "9223372036854775807"),
            ("16Gi", 17_179_869_184_000, 17_179_869_184, "16Gi"),
        ];
        for (written, milli, whole, canonical) in table {
            let read = parse_quantity(written).unwrap();
            assert_eq!((read.milli(), read.whole()), (*milli, *whole), "{written}");
            assert_eq!(read.to_string(), *canonical, "{written}");
        }
        for bad in ["", "-", ".", "1.2.3", "lots", "1 Gi", "1GB", "1gi", "--1", "1e", "0x10", "1_000", "½"] {
            assert!(parse_quantity(bad).is_err(), "{bad:?} must be refused");
        }
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(number in 0u64..u64::MAX / 4, places in 0usize..12, suffix in 0usize..15) {
            let suffixes = ["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti", "e3", "e-2", "E1", "P"];
            let mut digits = format!("{number:013}");
            digits.insert(digits.len() - places, '.');
            let read = parse_quantity(&format!("{digits}{}", suffixes[suffix])).unwrap();
            let again = parse_quantity(&read.to_string()).unwrap();
            prop_assert_eq!(read, again);
            prop_assert_eq!(read.to_string(), again.to_string());
        }

        #[test]
        fn rounding_goes_up_by_less_than_one(nano in 0i128..1_000_000_000_000_000_000) {
            let quantity = Quantity { nano, format: Format::DecimalSi };
            let over = i128::from(quantity.whole()) * NANO - nano;
            prop_assert!((0..NANO).contains(&over));
            let over = i128::from(quantity.milli()) * 1_000_000 - nano;
            prop_assert!((0..1_000_000).contains(&over));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = parse_quantity(&text);
        }
    }
}
