//! The files beside a scenario, from the file system.

use std::fs;
use std::path::{Path, PathBuf};

use crate::scenario::behavior::glob_matches;
use crate::scenario::load::SourceFiles;

/// Files relative to the folder of a scenario.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder in which `file` stands; the working directory for `-`.
    pub fn of(file: &str) -> Self {
        let parent = Path::new(file).parent().filter(|_| file != "-");
        Folder(parent.map(Path::to_path_buf).unwrap_or_default())
    }
}

impl SourceFiles for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        read_text(&self.0.join(path))
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        let mut found = vec![String::new()];
        for part in pattern.split('/') {
            found = found.iter().flat_map(|prefix| self.expand(prefix, part)).collect();
        }
        found.sort();
        found
    }

    fn display(&self, path: &str) -> String {
        self.0.join(path).display().to_string()
    }
}

impl Folder {
    /// The entries of `prefix` whose name matches `part`, as paths relative to the scenario.
    fn expand(&self, prefix: &str, part: &str) -> Vec<String> {
        let joined = |name: &str| if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") };
        if !part.contains('*') {
            let path = joined(part);
            return if self.0.join(&path).exists() { vec![path] } else { Vec::new() };
        }
        let folder = if self.0.join(prefix).as_os_str().is_empty() { PathBuf::from(".") } else { self.0.join(prefix) };
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| !name.starts_with('.') && glob_matches(part, name)).map(|name| joined(&name)).collect()
    }
}

/// A file as text; invalid UTF-8 is named with its line.
///
/// # Errors
/// The system's reason in a person's words.
pub fn read_text(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| {
        let text = error.to_string();
        text.split(" (os error").next().unwrap_or(&text).to_string()
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        format!("not UTF-8 text, from line {}", valid.iter().filter(|b| **b == b'\n').count() + 1)
    })
}
