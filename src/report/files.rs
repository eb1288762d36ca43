//! A results folder that is whole or not there: everything is written into a folder beside it, forced to
//! the disk, and renamed. An interrupted run leaves the previous result as it was.
//!
//! A folder that has to stay the one it is (the working directory, a mounted disk) gets its files one by one instead,
//! each of them whole, after everything has been written into a folder within it. Links are followed.

use super::{csv, plots, summary};
use crate::error::{Error, Result};
use crate::metrics::Usage;
use crate::outcome::Outcome;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes what is in a file.
pub type Body<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + Send + Sync + 'a>;

/// One file of a result: its name and its body. Tables can be large, so they go to the disk row by row.
pub type Content<'a> = (String, Body<'a>);

/// A file whose bytes are at hand.
pub fn ready(name: impl Into<String>, bytes: Vec<u8>) -> Content<'static> {
    (name.into(), Box::new(move |out| out.write_all(&bytes)))
}

/// All files of a result.
pub fn contents(outcome: &Outcome) -> Vec<Content<'_>> {
    let record = &outcome.record;
    let tables: [(&str, Body); 6] = [
        ("timeseries.csv", Box::new(|out| csv::timeseries(record, out))),
        ("events.csv", Box::new(|out| csv::events(record, out))),
        ("pods.csv", Box::new(|out| csv::pods(record, out))),
        ("nodes.csv", Box::new(|out| csv::nodes(record, &Usage::of(record), out))),
        ("resilience.csv", Box::new(|out| super::resilience::csv(record, out))),
        ("faults.csv", Box::new(|out| super::resilience::faults_csv(record, out))),
    ];
    let mut files = vec![ready("summary.json", summary::json(outcome).into_bytes())];
    files.extend(tables.map(|(name, body)| (name.to_string(), body)));
    if let Some(traffic) = &record.traffic {
        files.push(("traffic.csv".to_string(), Box::new(|out| super::traffic::csv(traffic, out))));
    }
    // A chart that cannot be drawn costs the chart, not the result.
    files.extend(plots::all(outcome).unwrap_or_default().into_iter().map(|(name, bytes)| ready(name, bytes)));
    files
}

/// Every file that a result may hold.
const NAMES: [&str; 31] = [
    "faults.csv",
    "chaos.json",
    "chaos.txt",
    "resilience.csv",
    "summary.json",
    "timeseries.csv",
    "events.csv",
    "pods.csv",
    "nodes.csv",
    "traffic.csv",
    "replicas.svg",
    "replicas.png",
    "utilization.svg",
    "utilization.png",
    "capacity.svg",
    "capacity.png",
    "phases.svg",
    "phases.png",
    "recovery.svg",
    "recovery.png",
    "requests.svg",
    "requests.png",
    "latency.svg",
    "latency.png",
    "comparison.json",
    "comparison.txt",
    "runs.csv",
    "means.svg",
    "means.png",
    "differences.svg",
    "differences.png",
];

/// Writes a result into `folder`, replacing the result that was there as one step. A folder that holds anything else
/// is left alone, and so is a file.
///
/// # Errors
/// [`Error::Io`]; what was there before is then untouched.
pub fn write(folder: &Path, contents: &[Content<'_>]) -> Result<()> {
    let fault = |cause: String| Error::Io { path: folder.display().to_string(), cause };
    // What a link leads to, and a name that a folder can be renamed by: `.` has none.
    let real = match fs::canonicalize(folder) {
        Ok(real) => real,
        Err(_) if fs::symlink_metadata(folder).is_ok() => {
            return Err(fault("is a link that leads nowhere; choose a new or empty folder with --out".to_string()));
        }
        Err(_) => folder.to_path_buf(),
    };
    if let Some(what) = in_the_way(&real) {
        return Err(fault(format!("{what}; choose a new or empty folder with --out")));
    }
    let stays = must_stay(&real);
    let fresh = if stays { real.join(format!("{FRESH}{}", std::process::id())) } else { beside(&real, "tmp") };
    let put = || if stays { move_into(&real, &fresh) } else { replace(&real, &fresh) };
    let result = write_fresh(&fresh, contents).and_then(|()| put());
    if result.is_err() {
        let _ = fs::remove_dir_all(&fresh);
    }
    result.map_err(|error| fault(format!("cannot write results: {}", reason(&error))))
}

/// The beginning of the name of a folder within a folder, in which a result is made ready.
const FRESH: &str = ".kubesim-";

/// Whether a file of that name was written by a run.
fn is_ours(name: &str) -> bool {
    NAMES.contains(&name) || name.starts_with("failing-") && name.ends_with(".yaml")
}

/// Why a result must not stand there: no folder, or something in it that no run has written.
fn in_the_way(folder: &Path) -> Option<String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) if !folder.is_dir() => return Some("is a file, not a folder".to_string()),
        Err(error) => return Some(format!("cannot be read ({})", reason(&error))),
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let stranger = names.filter(|name| !is_ours(name) && !name.starts_with(FRESH)).min()?;
    Some(format!("holds {stranger:?}, which is no file of a result"))
}

/// Whether no other folder can take the place of this one: somebody stands in it, or a disk is mounted there.
fn must_stay(folder: &Path) -> bool {
    if !folder.is_dir() {
        return false;
    }
    let here = std::env::current_dir().and_then(fs::canonicalize);
    here.is_ok_and(|here| here == folder) || is_mounted(folder)
}

#[cfg(unix)]
fn is_mounted(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let disk = |path: &Path| fs::metadata(path).map(|about| about.dev()).ok();
    folder.parent().is_none_or(|parent| disk(parent) != disk(folder))
}

#[cfg(not(unix))]
fn is_mounted(folder: &Path) -> bool {
    folder.parent().is_none()
}

/// Puts the files of `fresh` into `folder`, and takes away those of the result before that it does not have.
fn move_into(folder: &Path, fresh: &Path) -> io::Result<()> {
    let names = |of: &Path| -> io::Result<Vec<std::ffi::OsString>> {
        fs::read_dir(of)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    };
    let new = names(fresh)?;
    for name in &new {
        fs::rename(fresh.join(name), folder.join(name))?;
    }
    for name in names(folder)?.into_iter().filter(|name| is_ours(&name.to_string_lossy()) && !new.contains(name)) {
        fs::remove_file(folder.join(name))?;
    }
    fs::remove_dir(fresh)?;
    sync_folder(folder)
}

/// The hidden neighbour of a folder that only this process uses.
fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    folder.with_file_name(format!(".{name}.{suffix}-{}", std::process::id()))
}

fn write_fresh(fresh: &Path, contents: &[Content<'_>]) -> io::Result<()> {
    let _ = fs::remove_dir_all(fresh);
    fs::create_dir_all(fresh)?;
    contents.par_iter().try_for_each(|(name, body)| {
        let mut file = BufWriter::new(File::create(fresh.join(name))?);
        body(&mut file)?;
        file.into_inner()?.sync_all()
    })?;
    sync_folder(fresh)
}

/// Puts `fresh` in the place of `folder`. A folder cannot be renamed over a full one, so the old one steps aside.
fn replace(folder: &Path, fresh: &Path) -> io::Result<()> {
    let aside = beside(folder, "old");
    let _ = fs::remove_dir_all(&aside);
    let replaces = folder.exists();
    if replaces {
        fs::rename(folder, &aside)?;
    }
    if let Err(error) = fs::rename(fresh, folder) {
        if replaces {
            let _ = fs::rename(&aside, folder);
        }
        return Err(error);
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
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

    fn content(name: &str, text: &str) -> Content<'static> {
        ready(name, text.as_bytes().to_vec())
    }

    #[test]
    fn a_result_replaces_the_one_before_as_a_whole() {
        let base = scratch("replace");
        let folder = base.join("run");
        write(&folder, &[content("pods.csv", "1"), content("nodes.csv", "1")]).unwrap();
        write(&folder, &[content("pods.csv", "2")]).unwrap();
        assert_eq!(fs::read_to_string(folder.join("pods.csv")).unwrap(), "2");
        assert!(!folder.join("nodes.csv").exists(), "nothing of the old result stays");
        assert_eq!(fs::read_dir(&base).unwrap().count(), 1, "no temporary folder stays");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let base = scratch("stranger");
        fs::write(base.join("thesis.txt"), "years of work").unwrap();
        let error = write(&base, &[content("pods.csv", "1")]).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("thesis.txt"), "{error}");
        assert_eq!(fs::read_to_string(base.join("thesis.txt")).unwrap(), "years of work");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_file_and_a_link_that_leads_nowhere_are_left_alone() {
        let base = scratch("file");
        let file = base.join("notes");
        fs::write(&file, "hi").unwrap();
        let error = write(&file, &[content("pods.csv", "1")]).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("is a file, not a folder"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "hi");
        #[cfg(unix)]
        {
            let link = base.join("link");
            std::os::unix::fs::symlink(base.join("nowhere"), &link).unwrap();
            assert_eq!(write(&link, &[content("pods.csv", "1")]).unwrap_err().exit_code(), 4);
        }
        fs::remove_dir_all(base).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed() {
        let base = scratch("link");
        let (real, link) = (base.join("real"), base.join("link"));
        write(&real, &[content("pods.csv", "1")]).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, &[content("pods.csv", "2")]).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(real.join("pods.csv")).unwrap(), "2");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_folder_that_stays_gets_its_files_one_by_one() {
        let base = scratch("stays");
        for (name, text) in [("pods.csv", "1"), ("nodes.csv", "1")] {
            fs::write(base.join(name), text).unwrap();
        }
        let fresh = base.join(format!("{FRESH}test"));
        write_fresh(&fresh, &[content("pods.csv", "2"), content("events.csv", "2")]).unwrap();
        move_into(&base, &fresh).unwrap();
        let mut names: Vec<_> = fs::read_dir(&base).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["events.csv", "pods.csv"]);
        assert_eq!(fs::read_to_string(base.join("pods.csv")).unwrap(), "2");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn every_name_is_known() {
        let outcome = super::super::tests::outcome();
        let names: Vec<String> = contents(&outcome).into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| NAMES.contains(&name.as_str())), "{names:?}");
    }

    #[test]
    fn a_failure_leaves_the_result_before_as_it_was() {
        let base = scratch("fail");
        let folder = base.join("run");
        write(&folder, &[content("pods.csv", "1")]).unwrap();
        // The second file cannot be made: its folder is missing.
        let error = write(&folder, &[content("pods.csv", "2"), content("missing/b", "2")]).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert_eq!(fs::read_to_string(folder.join("pods.csv")).unwrap(), "1");
        assert_eq!(fs::read_dir(&base).unwrap().count(), 1, "no temporary folder stays");
        fs::remove_dir_all(base).unwrap();
    }
}
