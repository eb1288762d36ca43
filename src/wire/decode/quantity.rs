//! Resource lists: quantities to integers.

use super::{Decoded, FieldError};
use crate::model::{Name, Resources};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

/// A Kubernetes resource list.
pub(crate) type ResourceList = BTreeMap<String, Quantity>;

/// The amounts of a list (cpu in milli, everything else in units, both rounded up), and the names it sets.
pub(crate) fn resources(list: Option<&ResourceList>) -> Decoded<(Resources, Vec<Name>)> {
    let mut amounts = Resources::default();
    let mut names = Vec::new();
    for (name, quantity) in list.into_iter().flatten() {
        let key = Name::from(name.as_str());
        let scale = if name == "cpu" { 1000 } else { 1 };
        let amount = scaled(&quantity.0, scale).ok_or_else(|| {
            FieldError::new(name.as_str(), format!("Invalid value: {:?}: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'", quantity.0))
        })?;
        amounts.set(&key, amount);
        names.push(key);
    }
    Ok((amounts, names))
}

/// `text` times `scale`, rounded up, capped to 64 bits.
fn scaled(text: &str, scale: i128) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, suffix) = text.split_at(digits);
    let (multiplier, divisor): (i128, i128) = match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = 10i128.checked_pow(power.unsigned_abs())?;
            if power < 0 { (1, factor) } else { (factor, 1) }
        }
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = divisor.checked_mul(10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
    let product = mantissa.checked_mul(multiplier)?.checked_mul(scale)?;
    let up = (product + divisor - 1).div_euclid(divisor);
    let value = if negative { -(product / divisor) } else { up };
    Some(i64::try_from(value).unwrap_or(if negative { i64::MIN } else { i64::MAX }))
}
