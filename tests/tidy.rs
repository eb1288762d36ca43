//! The house rules that a compiler does not know: who may import whom, and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// The rows of the house, lowest first. A module may import only from rows below its own.
const ROWS: &[&[&str]] = &[
    &["error", "time"],
    &["rng"],
    &["engine", "model"],
    &["store", "wire"],
    &["metrics"],
    &["runtime", "scenario"],
    &["controllers", "scheduler", "kubelet", "network", "cloud", "faults", "script", "traffic", "checks", "workload"],
    &["outcome"],
    &["cluster"],
    &["experiment", "serve"],
    &["report"],
    &["cli"],
];

/// No file may be longer, in lines.
const LONGEST_FILE: usize = 600;

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            false => {}
        }
    }
    files.sort();
    files
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The module that a file belongs to: the first part of its path below `src`.
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(source_folder()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_string()
}

/// Every `crate::module` that the text names outside of comments and tests.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap_or(line);
        for part in line.split("crate::").skip(1) {
            let module: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if module.chars().next().is_some_and(char::is_lowercase) && module != "name" {
                found.push((number + 1, module));
            }
        }
    }
    found
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for path in sources(&source_folder()) {
        let module = module_of(&path);
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let Some(own) = row(&module) else {
            wrong.push(format!("{}: module {module} has no row", path.display()));
            continue;
        };
        for (line, used) in imports(&fs::read_to_string(&path).unwrap()) {
            let allowed = used == module || row(&used).is_some_and(|row| row < own);
            if !allowed {
                wrong.push(format!("{}:{line}: {module} (row {own}) imports {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = sources(&source_folder())
        .into_iter()
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn the_library_does_no_io_below_row_six() {
    let banned = ["std::fs", "std::io::", "std::net::Tcp", "std::process", "println!", "eprintln!"];
    let mut wrong = Vec::new();
    for path in sources(&source_folder()) {
        let module = module_of(&path);
        if ["lib", "main"].contains(&module.as_str()) || row(&module).is_none_or(|row| row > 7) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
        for (number, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or(line);
            wrong.extend(
                banned
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{}:{}: {word}", path.display(), number + 1)),
            );
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
