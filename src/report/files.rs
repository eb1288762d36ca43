//! A results folder that is whole or not there: everything is written into a folder beside it, forced to
//! the disk, and renamed. An interrupted run leaves the previous result as it was.

use super::{csv, plots, summary};
use crate::error::{Error, Result};
use crate::metrics::Usage;
use crate::outcome::Outcome;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// One file of a result: its name and its bytes.
pub type Content = (String, Vec<u8>);

/// All files of a result.
pub fn contents(outcome: &Outcome) -> Vec<Content> {
    let record = &outcome.record;
    let usage = Usage::of(record);
    [
        ("summary.json", summary::json(outcome).into_bytes()),
        ("timeseries.csv", csv::timeseries(record)),
        ("events.csv", csv::events(record)),
        ("pods.csv", csv::pods(record)),
        ("nodes.csv", csv::nodes(record, &usage)),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_string(), bytes))
    // A chart that cannot be drawn costs the chart, not the result.
    .chain(plots::all(outcome).unwrap_or_default())
    .collect()
}

/// Writes a result into `folder`, replacing what was there as one step.
///
/// # Errors
/// [`Error::Io`]; what was there before is then untouched.
pub fn write(folder: &Path, contents: &[Content]) -> Result<()> {
    let failed = |path: &Path, error: &io::Error| Error::Io { path: path.display().to_string(), cause: reason(error) };
    let fresh = beside(folder, "tmp");
    let result = write_fresh(&fresh, contents).and_then(|()| replace(folder, &fresh));
    if result.is_err() {
        let _ = fs::remove_dir_all(&fresh);
    }
    result.map_err(|(path, error)| failed(&path, &error))
}

type Step = std::result::Result<(), (PathBuf, io::Error)>;

/// The hidden neighbour of a folder that only this process uses.
fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    folder.with_file_name(format!(".{name}.{suffix}-{}", std::process::id()))
}

fn write_fresh(fresh: &Path, contents: &[Content]) -> Step {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error| (path, error)
    };
    let _ = fs::remove_dir_all(fresh);
    fs::create_dir_all(fresh).map_err(at(fresh))?;
    for (name, bytes) in contents {
        let path = fresh.join(name);
        let mut file = File::create(&path).map_err(at(&path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(&path))?;
    }
    sync_folder(fresh).map_err(at(fresh))
}

/// Puts `fresh` in the place of `folder`. A folder cannot be renamed over a full one, so the old one steps aside.
fn replace(folder: &Path, fresh: &Path) -> Step {
    let at = |error| (folder.to_path_buf(), error);
    let aside = beside(folder, "old");
    let _ = fs::remove_dir_all(&aside);
    let replaces = folder.exists();
    if replaces {
        fs::rename(folder, &aside).map_err(at)?;
    }
    if let Err(error) = fs::rename(fresh, folder) {
        if replaces {
            let _ = fs::rename(&aside, folder);
        }
        return Err(at(error));
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent).map_err(at)?;
    }
    let _ = fs::remove_dir_all(&aside);
    Ok(())
}

/// Forces the names in a folder to the disk, where the system can.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The system's reason without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("kubesim-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn content(name: &str, text: &str) -> Content {
        (name.to_string(), text.as_bytes().to_vec())
    }

    #[test]
    fn a_result_replaces_the_one_before_as_a_whole() {
        let base = scratch("replace");
        let folder = base.join("run");
        write(&folder, &[content("a", "1"), content("b", "1")]).unwrap();
        write(&folder, &[content("a", "2")]).unwrap();
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "2");
        assert!(!folder.join("b").exists(), "nothing of the old result stays");
        assert_eq!(fs::read_dir(&base).unwrap().count(), 1, "no temporary folder stays");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_failure_leaves_the_result_before_as_it_was() {
        let base = scratch("fail");
        let folder = base.join("run");
        write(&folder, &[content("a", "1")]).unwrap();
        // The second file cannot be made: its folder is missing.
        let error = write(&folder, &[content("a", "2"), content("missing/b", "2")]).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "1");
        assert_eq!(fs::read_dir(&base).unwrap().count(), 1, "no temporary folder stays");
        fs::remove_dir_all(base).unwrap();
    }
}
