//! Wrong inputs: each gives exit code 2 and says where, what, and what would be right.

use std::fs;

use kubesim::cli::{diagnostics, validate};
use kubesim::error::Error;

/// The messages of every file of a folder, as they are shown on a terminal but without colour.
fn messages(folder: &str) -> String {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "only {} files in {folder}", files.len());
    let mut shown = String::new();
    for file in files {
        let name = file.display().to_string();
        let error = match validate::check(&name, &fs::read_to_string(&file).unwrap()) {
            Err(error) => error,
            Ok((summary, _)) => panic!("{name} was accepted: {summary}"),
        };
        assert_eq!(error.exit_code(), 2, "{name}");
        let Error::Input(problems) = &error else { panic!("{name}: {error}") };
        assert!(!problems.is_empty(), "{name}");
        for problem in problems {
            let place = problem.place.as_ref().unwrap_or_else(|| panic!("{name}: no place: {problem}"));
            assert!(place.line >= 1 && place.column >= 1 && place.file == name, "{name}: {place:?}");
            assert!(problem.help.as_ref().is_some_and(|help| !help.is_empty()), "{name}: no help: {problem}");
        }
        let text = anstream::adapter::strip_str(&diagnostics::render(&error, true)).to_string();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        shown.push_str(&format!("# {}\n{}\n\n", file.file_name().unwrap().display(), lines.join("\n").trim_end()));
    }
    shown
}

#[test]
fn wrong_scenarios_say_what_to_do() {
    insta::assert_snapshot!(messages("tests/bad/scenarios"));
}

#[test]
fn wrong_manifests_say_what_to_do() {
    insta::assert_snapshot!(messages("tests/bad/manifests"));
}

#[test]
fn wrong_scheduler_configurations_say_what_to_do() {
    insta::assert_snapshot!(messages("tests/bad/schedulers"));
}

/// A scenario with a few random edits: whatever comes of it, it is an answer.
fn edited(text: &str, edits: &[(usize, u8, String)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, kind, insert) in edits {
        let at = at % characters.len().max(1);
        match kind % 3 {
            0 => drop(characters.splice(at..at, insert.chars())),
            1 => drop(characters.drain(at..(at + insert.len() + 1).min(characters.len()))),
            _ => {
                let piece: Vec<char> = characters[at..(at + 40).min(characters.len())].to_vec();
                drop(characters.splice(0..0, piece));
            }
        }
    }
    characters.into_iter().collect()
}

proptest::proptest! {
    #[test]
    fn edited_files_are_answered(
        file in 0usize..3,
        edits in proptest::collection::vec((0usize..10_000, 0u8..3, "[ -~\n:{}\\[\\]é*&0-9a-z]{0,6}"), 1..5),
    ) {
        let files = ["scenarios/node-failure.yaml", "scenarios/rolling-update.yaml", "scenarios/manifests/web.yaml"];
        let text = edited(&fs::read_to_string(files[file]).unwrap(), &edits);
        if let Err(error) = validate::check(files[file], &text) {
            proptest::prop_assert!(!diagnostics::render(&error, true).is_empty());
        }
    }
}

/// Every field name of the scenario with one slip of the finger: the suggestion is the field that was meant.
#[test]
fn slips_are_understood() {
    let schema: serde_json::Value = serde_json::from_str(&kubesim::scenario::schema::schema()).unwrap();
    let (mut right, mut all) = (0, 0);
    for part in schema["$defs"].as_object().unwrap().values().chain([&schema]) {
        let Some(properties) = part["properties"].as_object() else { continue };
        for name in properties.keys().filter(|name| name.len() > 3) {
            for at in 0..name.len() - 1 {
                let (before, after) = (&name[..at], &name[at + 1..]);
                let swapped = format!("{before}{}{}{}", &after[..1], &name[at..=at], &after[1..]);
                for slip in [
                    format!("{before}{after}"),
                    format!("{before}x{after}"),
                    format!("{before}x{}", &name[at..]),
                    swapped,
                ] {
                    if !properties.contains_key(&slip) {
                        all += 1;
                        let meant = kubesim::error::did_you_mean(&slip, properties.keys().map(String::as_str));
                        right += usize::from(meant == Some(name.as_str()));
                    }
                }
            }
        }
    }
    assert!(all > 1_000 && right * 100 >= all * 98, "{right} of {all} slips understood");
}
