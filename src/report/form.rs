//! How the numbers of a comparison are written: one unit for a column or a chart, digits for each number.
//!
//! A worked example: shares of 0.0004 and 0.37 in one column are both percent, `0.040%` and `37.0%`, each with the
//! digits that tell it from nothing.

use crate::experiment::{Estimate, Unit};

/// The most digits after the point.
const DECIMALS_MAX: usize = 6;

/// The unit of a column of numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Form {
    /// What a value is multiplied with.
    pub scale: f64,
    /// What stands behind it.
    pub suffix: &'static str,
    /// A number this large, scaled and in its smallest digit, needs no more digits.
    enough: f64,
}

impl Form {
    /// One that suits values of this size.
    pub fn of(unit: Unit, values: impl Iterator<Item = f64>) -> Form {
        let largest = values.fold(0.0, |most: f64, value| most.max(value.abs()));
        let (scale, suffix, enough) = match unit {
            Unit::Share => (100.0, "%", 10.0),
            Unit::Seconds if largest > 0.0 && largest < 1.0 => (1000.0, "ms", 1000.0),
            Unit::Seconds => (1.0, "s", 1000.0),
            _ => (1.0, "", 1000.0),
        };
        Form { scale, suffix, enough }
    }

    /// `12.13s`.
    pub fn number(self, found: Estimate) -> String {
        self.plain(found.mean, self.decimals(found)) + self.suffix
    }

    /// `+12.13s`.
    pub fn signed(self, found: Estimate) -> String {
        let number = self.number(found);
        if found.mean > 0.0 && shows_something(&number) { format!("+{number}") } else { number }
    }

    /// `[10.40, 13.86]`, with the digits of the mean.
    pub fn interval(self, found: Estimate) -> String {
        let decimals = self.decimals(found);
        format!("[{}, {}]", self.plain(found.low, decimals), self.plain(found.high, decimals))
    }

    /// As many digits as a mean needs, or a quarter of its interval if that is more: the digits of a difference that
    /// is none say nothing.
    fn decimals(self, found: Estimate) -> usize {
        let size = found.mean.abs().max((found.high - found.low) / 4.0) * self.scale;
        let (mut decimals, mut shown) = (1, size * 10.0);
        while shown > 0.0 && shown < self.enough && decimals < DECIMALS_MAX {
            decimals += 1;
            shown *= 10.0;
        }
        decimals
    }

    fn plain(self, value: f64, decimals: usize) -> String {
        let text = format!("{:.decimals$}", value * self.scale);
        // Rounding may leave a sign on nothing.
        if shows_something(&text) { text } else { text.trim_start_matches('-').to_string() }
    }
}

fn shows_something(text: &str) -> bool {
    text.contains(|c: char| ('1'..='9').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_difference_shows_and_its_unit_suits_the_column() {
        // (unit, largest of the column, mean, low, high, text)
        let table = [
            (Unit::Share, 0.5, 0.37, 0.369, 0.371, "+37.0% [36.9, 37.1]"),
            (Unit::Share, 0.5, 0.0004, 0.00017, 0.00065, "+0.040% [0.017, 0.065]"),
            (Unit::Share, 0.5, -0.00001, -0.000012, -0.000008, "-0.0010% [-0.0012, -0.0008]"),
            (Unit::Share, 0.5, 0.0, 0.0, 0.0, "0.0% [0.0, 0.0]"),
            (Unit::Ratio, 1.4, 0.591, 0.587, 0.595, "+0.5910 [0.5870, 0.5950]"),
            (Unit::Seconds, 0.01, -0.0000005, -0.00002, 0.00002, "-0.00050ms [-0.02000, 0.02000]"),
            (Unit::Seconds, 130.0, -12.13, -26.27, 1.34, "-12.13s [-26.27, 1.34]"),
            (Unit::Seconds, 130.0, 0.25, 0.2, 0.3, "+0.2500s [0.2000, 0.3000]"),
            (Unit::Count, 200.0, 113.5, 110.0, 117.0, "+113.5 [110.0, 117.0]"),
        ];
        for (unit, largest, mean, low, high, expected) in table {
            let found = Estimate { count: 30, mean, low, high };
            let form = Form::of(unit, [largest].into_iter());
            assert_eq!(format!("{} {}", form.signed(found), form.interval(found)), expected);
        }
    }
}
