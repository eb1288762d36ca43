//! Small words of every report: lengths of time, money, shares, columns.

use crate::model::fault::Side;
use crate::model::{Effect, Fault};
use crate::time::{SimDuration, SimTime};

/// Whether the machines that a fault hits were away while it lasted: down, or their kubelets not heard.
fn took_nodes_away(fault: &Fault) -> bool {
    match fault.kind {
        "node-crash" | "node-reboot" | "node-shutdown" | "kubelet-crash" | "zone-outage" | "power-outage" => true,
        "partition" => !matches!(fault.effect, Effect::Partition(Side::Zone(_))),
        _ => false,
    }
}

/// That a fault is over: `node a is back`, or `over: …` if the node was never away.
pub fn ended(fault: &Fault, description: &str) -> String {
    match fault.nodes.as_slice() {
        [] => format!("over: {description}"),
        _ if !took_nodes_away(fault) => format!("over: {description}"),
        [one] => format!("node {one} is back"),
        several => format!("{} nodes are back: {}", several.len(), several.join(", ")),
    }
}

/// Whether a line that a command printed tells nothing that the rest of the report does not show: what a drain says
/// of each pod, again and again.
pub fn is_routine(line: &str) -> bool {
    line.starts_with("evicting pod ") || line.contains("(will retry after 5s)") || line.ends_with(" cordoned")
}

/// A length of time as precise as is read: `85ms`, `2.50s`, `40.1s`, `5m45.2s`, `2h05m`.
pub fn length(duration: SimDuration) -> String {
    let ms = (duration.0.abs() + 500_000) / 1_000_000;
    let sign = if duration.0 < 0 { "-" } else { "" };
    let text = match ms {
        0 if duration.0 != 0 => "<1ms".to_string(),
        0..1_000 => format!("{ms}ms"),
        1_000..10_000 => format!("{}.{:02}s", ms / 1000, ms % 1000 / 10),
        10_000..100_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        100_000..3_600_000 => format!("{}m{:02}.{}s", ms / 60_000, ms % 60_000 / 1000, ms % 1000 / 100),
        _ => format!("{}h{:02}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    };
    format!("{sign}{text}")
}

/// An instant since the start of the run: `1:00.000`, `1:05:02.500`.
pub fn instant(time: SimTime) -> String {
    let ms = time.0.abs() / 1_000_000;
    let sign = if time.0 < 0 { "-" } else { "" };
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{sign}{minutes}:{seconds:02}.{ms:03}"),
        _ => format!("{sign}{hours}:{minutes:02}:{seconds:02}.{ms:03}"),
    }
}

/// Millionths of a currency unit: `0.0342`.
pub fn money(micros: i128) -> String {
    let shown = (micros + 50) / 100;
    format!("{}.{:04}", shown / 10_000, shown % 10_000)
}

/// Millionths as a whole percentage, rounded; nothing and all are said only of nothing and all.
pub fn whole_percent(millionths: i64) -> String {
    match millionths {
        1..5_000 => "<1%".to_string(),
        995_000..1_000_000 => ">99%".to_string(),
        _ => format!("{}%", (millionths + 5_000) / 10_000),
    }
}

/// A share: `37.5%`.
pub fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Replica × nanoseconds as `345.0`, in replica seconds.
pub fn replica_seconds(value: i128) -> String {
    let tenths = (value + 50_000_000) / 100_000_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A whole number with thin groups: `1 234 567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Characters of control or of direction shown as escapes: names come from strangers.
pub fn clean(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hidden(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// At most `width` characters; the end is cut with `…`.
pub fn fit(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Text broken into lines of at most `width` characters between words.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in clean(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit(word, width)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_well() {
        let table = [
            (0, "0ms"),
            (400_000, "<1ms"),
            (85_000_000, "85ms"),
            (2_504_000_000, "2.50s"),
            (40_123_000_000, "40.1s"),
            (345_250_000_000, "5m45.2s"),
            (7_500_000_000_000, "2h05m"),
            (-1_500_000_000, "-1.50s"),
        ];
        for (ns, text) in table {
            assert_eq!(length(SimDuration(ns)), text);
        }
        assert_eq!(instant(SimTime(60_000_000_000)), "1:00.000");
        assert_eq!(instant(SimTime(-20_000_000_000)), "-0:20.000");
        let amounts =
            [(34_200, "0.0342"), (191_667, "0.1917"), (99_999, "0.1000"), (49, "0.0000"), (2_000_000, "2.0000")];
        for (micros, text) in amounts {
            assert_eq!(money(micros), text);
        }
        // A sixth of a million is 166 667: 17 %.
        let shares =
            [(0, "0%"), (1, "<1%"), (166_667, "17%"), (999_999, ">99%"), (1_000_000, "100%"), (1_234_567, "123%")];
        for (millionths, text) in shares {
            assert_eq!(whole_percent(millionths), text);
        }
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(replica_seconds(345_000_000_000), "345.0");
    }

    #[test]
    fn only_who_was_away_is_back() {
        let fault = |kind, effect| Fault { kind, nodes: vec!["a".into()], effect, ..Fault::default() };
        let zone = Effect::Partition(Side::Zone("z".into()));
        let table = [
            (fault("node-crash", Effect::Plain), "node a is back"),
            (fault("partition", Effect::Partition(Side::ControlPlane)), "node a is back"),
            (fault("partition", zone), "over: what"),
            (fault("slow-network", Effect::Plain), "over: what"),
            (fault("clock-skew", Effect::Plain), "over: what"),
            (fault("disk-full", Effect::Plain), "over: what"),
            (Fault { nodes: Vec::new(), ..fault("node-crash", Effect::Plain) }, "over: what"),
        ];
        for (fault, text) in table {
            assert_eq!(ended(&fault, "what"), text, "{fault:?}");
        }
    }

    #[test]
    fn hostile_text_is_made_visible() {
        assert_eq!(clean("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\u{a}b");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    }
}
