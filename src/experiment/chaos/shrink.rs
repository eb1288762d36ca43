//! The smallest schedule that still breaks the scenario: faults are left out one by one until none can be spared, then
//! what is left is made plainer.

use super::draw::Deed;
use crate::error::Result;

/// The smallest schedule found, and how many runs it took.
///
/// # Errors
/// What a run reports.
pub fn smallest(whole: Vec<Deed>, breaks: &dyn Fn(&[Deed]) -> Result<bool>) -> Result<(Vec<Deed>, usize)> {
    let (mut kept, mut attempts) = (whole, 0);
    let mut try_it = |deeds: &[Deed]| {
        attempts += 1;
        breaks(deeds)
    };
    // Halves first: of many faults most are innocent.
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let mut spared = false;
        while at < kept.len() {
            let mut without = kept.clone();
            without.drain(at..(at + size).min(without.len()));
            if without.len() < kept.len() && try_it(&without)? {
                (kept, spared) = (without, true);
            } else {
                at += size;
            }
        }
        // One fault that could be spared may make another one idle.
        size = if size == 1 && !spared { 0 } else { (size / 2).max(1) };
    }
    let mut at = 0;
    while at < kept.len() {
        let plainer = kept[at].plainer().into_iter().find_map(|deed| {
            let mut changed = kept.clone();
            changed[at] = deed;
            match try_it(&changed) {
                Ok(true) => Some(Ok(changed)),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            }
        });
        match plainer {
            Some(changed) => kept = changed?,
            None => at += 1,
        }
    }
    Ok((kept, attempts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimTime;
    use serde_json::json;

    fn deed(name: &str) -> Deed {
        let entries = vec![json!({"at": "60s", "nodeCrash": {"node": name}})];
        Deed { kind: "nodeCrash".to_string(), target: name.to_string(), entries, until: SimTime::ZERO }
    }

    #[test]
    fn what_is_left_is_needed() {
        // (the faults of a schedule, those that break it together, what must be left)
        let table: [(&str, &str); 5] =
            [("abcdefgh", "c"), ("abcdefgh", "ah"), ("abc", "abc"), ("a", "a"), ("abcde", "bde")];
        for (whole, guilty) in table {
            let has = |deeds: &[Deed], name: char| deeds.iter().any(|deed| deed.target == name.to_string());
            let breaks = |deeds: &[Deed]| Ok(guilty.chars().all(|name| has(deeds, name)));
            let deeds: Vec<Deed> = whole.chars().map(|name| deed(&name.to_string())).collect();
            let (left, attempts) = smallest(deeds, &breaks).unwrap();
            assert_eq!(left.iter().map(|deed| deed.target.as_str()).collect::<String>(), guilty, "{whole}");
            assert!(attempts <= 40, "{attempts} runs for {whole}");
        }
    }
}
