//! The house rules that a compiler does not know: who may import whom, what each row must not touch, and how long
//! a file may be. The map in `ARCHITECTURE.md` must say the same as [`ROWS`].

use std::fs;
use std::path::{Path, PathBuf};

/// The rows of the house, lowest first. A module may import only from rows below its own.
const ROWS: &[&[&str]] = &[
    &["error", "time"],
    &["rng", "model"],
    &["engine", "wire"],
    &["store"],
    &["metrics"],
    &["runtime", "scenario", "network"],
    &[
        "controllers",
        "control_plane",
        "scheduler",
        "kubelet",
        "cloud",
        "faults",
        "script",
        "traffic",
        "checks",
        "workload",
    ],
    &["autoscaler", "outcome"],
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

/// Files below `src` that are compiled for tests alone.
fn is_test(path: &Path) -> bool {
    ["tests", "status_tests", "testing", "mutants"]
        .iter()
        .any(|name| path.file_stem().is_some_and(|stem| stem == *name))
}

/// Where the code of files that `concerned` picks by module says one of the words, outside of comments and tests.
fn said(words: &[&str], concerned: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for path in sources(&source_folder()).into_iter().filter(|path| !is_test(path) && concerned(&module_of(path))) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
        for (number, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or(line);
            let here = words.iter().filter(|word| line.contains(**word));
            found.extend(here.map(|word| format!("{}:{}: {word}", path.display(), number + 1)));
        }
    }
    found
}

#[test]
fn a_run_touches_nothing_outside() {
    let outside = [
        "std::fs",
        "std::io::",
        "std::net::Tcp",
        "std::process",
        "std::env",
        "println!",
        "eprintln!",
        // Threads, and what only threads need; globals.
        "std::thread",
        "Mutex",
        "RwLock",
        "OnceLock",
        "LazyLock",
        "thread_local!",
        "static mut",
        // The bans of clippy.toml may be lifted above a run only.
        "clippy::disallowed",
    ];
    let run = row("cluster").unwrap();
    let wrong = said(&outside, |module| row(module).is_some_and(|row| row <= run));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_the_runtime_writes_to_the_store() {
    let wrong = said(&["store.commit("], |module| !["store", "runtime"].contains(&module));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_the_wire_knows_kubernetes_types() {
    let wrong = said(&["k8s_openapi", "serde_saphyr"], |module| module != "wire");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_map_says_the_same_rows() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let mut shown = Vec::new();
    for line in map.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, number, modules, ..] = cells[..]
            && let Ok(number) = number.parse::<usize>()
        {
            shown.extend(modules.split(", ").map(|module| (module.trim_matches('`').to_string(), number)));
        }
    }
    let mut wrong: Vec<String> = shown
        .iter()
        .filter(|(module, number)| module != "main" && row(module) != Some(*number))
        .map(|(module, number)| format!("ARCHITECTURE.md has {module} in row {number}, not {:?}", row(module)))
        .collect();
    for module in sources(&source_folder()).iter().map(|path| module_of(path)).filter(|module| module != "lib") {
        if !shown.iter().any(|(known, _)| *known == module) {
            wrong.push(format!("ARCHITECTURE.md does not show {module}"));
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
