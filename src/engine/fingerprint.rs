//! The fingerprint: a 128-bit rolling hash of everything that happened.
//!
//! Two 64-bit multiply-and-rotate lanes. It is not meant to withstand an adversary, only to differ
//! when two runs differ. A checkpoint every [`Fingerprint::CHECKPOINT`] entries lets two runs that
//! differ find the window of the first difference without keeping either.

use std::fmt;

/// A rolling hash with checkpoints.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fingerprint {
    lanes: [u64; 2],
    entries: u64,
    checkpoints: Vec<[u64; 2]>,
}

impl Fingerprint {
    /// Entries between two checkpoints.
    pub const CHECKPOINT: u64 = 1 << 16;

    /// Folds one word in.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.lanes[0] = (self.lanes[0] ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        self.lanes[1] = (self.lanes[1].rotate_left(17) ^ word).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    }

    /// Folds text in, with its length.
    pub fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// Ends one entry.
    pub fn end_entry(&mut self) {
        self.entries += 1;
        if self.entries.is_multiple_of(Self::CHECKPOINT) {
            self.checkpoints.push(self.lanes);
        }
    }

    /// Entries so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The value now.
    pub fn value(&self) -> u128 {
        // A final mix, so that the last word reaches every bit.
        let mut mixed = self.clone();
        mixed.word(self.entries);
        mixed.word(0x5bd1_e995);
        u128::from(mixed.lanes[0]) << 64 | u128::from(mixed.lanes[1])
    }

    /// The first window of entries, as `(from, to)`, in which the two histories may differ.
    pub fn first_difference(&self, other: &Fingerprint) -> Option<(u64, u64)> {
        let pairs = self.checkpoints.iter().zip(&other.checkpoints);
        if let Some(at) = pairs.clone().position(|(a, b)| a != b) {
            return Some((at as u64 * Self::CHECKPOINT, (at as u64 + 1) * Self::CHECKPOINT));
        }
        let from = pairs.count() as u64 * Self::CHECKPOINT;
        (self.value() != other.value()).then(|| (from, self.entries.max(other.entries)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.value())
    }
}

/// [`fmt::Write`] into the hash: `{:?}` of plain data without building a string.
impl fmt::Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_content_and_length_matter() {
        let of = |words: &[u64]| {
            let mut f = Fingerprint::default();
            for word in words {
                f.word(*word);
                f.end_entry();
            }
            f.value()
        };
        let all = [of(&[]), of(&[0]), of(&[1, 2]), of(&[2, 1]), of(&[1, 2, 0])];
        for (at, a) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn the_window_of_the_first_difference_is_found() {
        let (mut a, mut b) = (Fingerprint::default(), Fingerprint::default());
        for entry in 0..200_000u64 {
            a.word(entry);
            b.word(if entry == 70_000 { 1 } else { entry });
            a.end_entry();
            b.end_entry();
        }
        assert_eq!(a.first_difference(&b), Some((65_536, 131_072)));
        assert_eq!(a.first_difference(&a.clone()), None);
    }
}
