//! `--set path=value`: one value of the scenario, changed from the command line before it is checked.

use serde_json::{Map, Value};

use crate::error::{Place, Problem};
use crate::wire::places::{Places, steps};
use crate::wire::yaml::read_value;

/// Changes `value` as `assignment` (`cluster.pools[0].count=20`) says. Whether the path and the value make sense is
/// found when the scenario is read, with the place in the assignment.
///
/// # Errors
/// An assignment without `=`, a value that is no YAML, or a path through something that is not there.
pub fn set(value: &mut Value, places: &mut Places, assignment: &str) -> Result<(), Box<Problem>> {
    let place = |column: usize, width: usize| Place {
        file: "--set".to_string(),
        line: 1,
        column,
        width: width.max(1),
        source_line: assignment.to_string(),
    };
    let problem = |place: Place, path: &str, message: String, help: &str| {
        Box::new(Problem { place: Some(place), path: path.to_string(), message, help: Some(help.to_string()) })
    };
    let example = "write it as --set cluster.pools[0].count=20";
    let Some((path, text)) = assignment.split_once('=') else {
        let message = format!("no `=` in {assignment:?}");
        return Err(problem(place(1, assignment.chars().count()), "", message, example));
    };
    let path_width = path.chars().count();
    let new = read_value(text)
        .map_err(|why| problem(place(path_width + 2, text.chars().count()), path, why, "quote it as YAML needs it"))?;
    let mut target = value;
    for step in steps(path) {
        let found = match target {
            Value::Array(items) => {
                let (count, index) = (items.len(), step.parse::<usize>().ok());
                index.and_then(|index| items.get_mut(index)).ok_or_else(|| {
                    let most = count.saturating_sub(1);
                    format!("no item [{step}] in a list of {count}; write an index from 0 to {most}")
                })
            }
            Value::Null | Value::Object(_) => {
                if target.is_null() {
                    *target = Value::Object(Map::new());
                }
                let entries = target.as_object_mut().expect("it is a map or was made one");
                Ok(entries.entry(step.to_string()).or_insert(Value::Null))
            }
            _ => Err(format!("nothing can stand below a single value, at {step:?}; set the value itself")),
        };
        target = found.map_err(|sentence: String| {
            let (message, help) = sentence.split_once("; ").unwrap_or((&sentence, example));
            problem(place(1, path_width), path, message.to_string(), help)
        })?;
    }
    *target = new;
    places.override_at(path, place(1, path_width), place(path_width + 2, text.chars().count()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_set_by_path() {
        let mut places = Places::new("x", "");
        let mut value = json!({"cluster": {"pools": [{"count": 3}]}});
        for assignment in ["cluster.pools[0].count=20", "timing.watchDelay=5ms", "name=two words", "expect=[a, b]"] {
            set(&mut value, &mut places, assignment).unwrap();
        }
        let expected = json!({
            "cluster": {"pools": [{"count": 20}]}, "timing": {"watchDelay": "5ms"}, "name": "two words",
            "expect": ["a", "b"],
        });
        assert_eq!(value, expected);
        assert_eq!(places.find("cluster.pools[0].count").column, 24);
        for wrong in ["cluster", "cluster.pools[7].count=1", "name.first=x", "name=[1"] {
            assert!(set(&mut value, &mut places, wrong).unwrap_err().help.is_some(), "{wrong}");
        }
    }
}
