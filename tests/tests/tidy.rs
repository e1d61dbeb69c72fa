//! The house rules that a compiler does not hold: who may name whom, how files begin, how long they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

const SCHEMAS: &str = "docket-schemas";
const ENGINE: &str = "docket-engine";
const POSTGRES: &str = "docket-postgres";
const SQLITE: &str = "docket-sqlite";
const NATS: &str = "docket-nats";
const PROJECTIONS: &str = "docket-projections";
const VIEWS_POSTGRES: &str = "docket-views-postgres";
const VIEWS_SQLITE: &str = "docket-views-sqlite";
const SEARCH: &str = "docket-search";
const SAGAS: &str = "docket-sagas";
const API: &str = "docket";

const BELOW_API: [&str; 10] = [
    SCHEMAS,
    ENGINE,
    POSTGRES,
    SQLITE,
    NATS,
    PROJECTIONS,
    VIEWS_POSTGRES,
    VIEWS_SQLITE,
    SEARCH,
    SAGAS,
];
const BELOW_TESTS: [&str; 11] = [
    SCHEMAS,
    ENGINE,
    POSTGRES,
    SQLITE,
    NATS,
    PROJECTIONS,
    VIEWS_POSTGRES,
    VIEWS_SQLITE,
    SEARCH,
    SAGAS,
    API,
];

/// Every crate with the crates of this workspace that it may depend on, in whatever way.
const LAYERS: [(&str, &[&str]); 13] = [
    (SCHEMAS, &[]),
    (ENGINE, &[SCHEMAS]),
    (POSTGRES, &[SCHEMAS, ENGINE]),
    (SQLITE, &[SCHEMAS, ENGINE]),
    (NATS, &[SCHEMAS, ENGINE]),
    (PROJECTIONS, &[SCHEMAS, ENGINE]),
    (SAGAS, &[SCHEMAS, ENGINE]),
    (VIEWS_POSTGRES, &[SCHEMAS, ENGINE, PROJECTIONS]),
    (VIEWS_SQLITE, &[SCHEMAS, ENGINE, PROJECTIONS]),
    (SEARCH, &[SCHEMAS, ENGINE, PROJECTIONS]),
    (API, &BELOW_API),
    ("docket-tests", &BELOW_TESTS),
    ("xtask", &[SCHEMAS]),
];

/// The crates that only `api/src/wire.rs` may name, as code spells them.
const ADAPTERS: [&str; 5] = [
    "docket_postgres",
    "docket_sqlite",
    "docket_nats",
    "docket_views_postgres",
    "docket_views_sqlite",
];

/// How every `lib.rs` begins.
const HEADER: [&str; 3] = ["//! Owns:", "//! Imports:", "//! Never:"];

/// Lines of a file, without its test modules.
const FILE_LINES_MAX: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 5] = ["utils", "common", "helpers", "manager", "types"];

/// What may stand at the top of the repository.
const TOP: [&str; 24] = [
    ".cargo",
    ".ci",
    ".config",
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "api",
    "clippy.toml",
    "deny.toml",
    "docker-compose.yml",
    "docs",
    "engine",
    "projections",
    "rustfmt.toml",
    "sagas",
    "schemas",
    "sqlx.toml",
    "tests",
    "xtask",
];

/// What no commit holds: version control, builds, data of a local run, editors' folders.
const NOT_OURS: [&str; 5] = [".git", "target", "docket-data", ".idea", ".vscode"];

#[test]
fn every_crate_depends_only_on_the_layers_below_it() {
    let mut found = Vec::new();
    for package in packages() {
        let name = package.name.as_str();
        let Some((_, below)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
            found.push(format!("{name} stands in no layer: give it a line in LAYERS"));
            continue;
        };
        let local = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        let above = local.filter(|dependency| !below.contains(&dependency.name.as_str()));
        found.extend(above.map(|dependency| format!("{name} depends on {}", dependency.name)));
    }
    none(&found);
}

#[test]
fn only_the_wiring_names_an_adapter() {
    let mut found = Vec::new();
    for file in sources(&root().join("api/src")) {
        if file.path.ends_with("api/src/wire.rs")
            || file.path.starts_with(root().join("api/src/wire"))
        {
            continue;
        }
        for (number, line) in file.code() {
            if ADAPTERS.iter().any(|adapter| line.contains(adapter)) {
                found.push(file.at(number, line));
            }
        }
    }
    none(&found);
}

#[test]
fn every_library_says_what_it_owns_what_it_imports_and_what_it_never_does() {
    let mut found = Vec::new();
    for package in packages() {
        let is_library = |target: &&Target| target.kind.iter().any(|kind| kind == "lib");
        let Some(library) = package.targets.iter().find(is_library) else {
            continue;
        };
        let path = &library.src_path;
        let text = fs::read_to_string(path).expect("a library's source can be read");
        for (expected, line) in HEADER.iter().zip(text.lines().chain(std::iter::repeat(""))) {
            if !line.starts_with(expected) || line.len() == expected.len() {
                found.push(format!("{}: `{line}` instead of `{expected} …`", path.display()));
            }
        }
    }
    none(&found);
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let silent = all().into_iter().filter(|file| !file.text.starts_with("//! "));
    none(&silent.map(|file| file.name()).collect::<Vec<_>>());
}

#[test]
fn no_file_is_longer_than_the_wall() {
    let mut found = Vec::new();
    for file in all() {
        let length = file.outside_tests().count();
        if length > FILE_LINES_MAX {
            found.push(format!("{}: {length} lines, {FILE_LINES_MAX} is the wall", file.name()));
        }
    }
    none(&found);
}

#[test]
fn every_module_has_a_name_that_says_something() {
    let mut found = Vec::new();
    for file in all() {
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem == "mod" || EMPTY_NAMES.contains(&stem.as_str()) {
            found.push(file.name());
        }
        for (number, line) in file.code() {
            let module = line.split("mod ").nth(1).unwrap_or_default();
            if line.contains("mod ")
                && EMPTY_NAMES.contains(&module.trim_end_matches([' ', '{', ';']))
            {
                found.push(file.at(number, line));
            }
        }
    }
    none(&found);
}

#[test]
fn nothing_is_silenced_or_left_for_later() {
    // In two halves, so that this file holds its own rule.
    let banned = [
        concat!("#[", "allow("),
        concat!("#![", "allow("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let mut found = Vec::new();
    for file in all() {
        for (number, line) in file.code() {
            if banned.iter().any(|word| line.contains(word)) {
                found.push(file.at(number, line));
            }
        }
    }
    none(&found);
}

#[test]
fn only_tests_unwrap() {
    let files = all();
    let tests: BTreeSet<PathBuf> = files.iter().flat_map(Source::test_modules).collect();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.is_test(&tests)) {
        for (number, line) in file.outside_tests().filter(|(_, line)| is_code(line)) {
            if line.contains(".unwrap()") {
                found.push(file.at(number, line));
            }
        }
    }
    none(&found);
}

#[test]
fn the_top_of_the_repository_holds_only_what_belongs_there() {
    let entries = fs::read_dir(root()).expect("the repository can be read");
    let names = entries.map(|entry| entry.expect("an entry").file_name().display().to_string());
    let strange = names.filter(|name| {
        !TOP.contains(&name.as_str())
            && !NOT_OURS.contains(&name.as_str())
            && !name.ends_with(".profraw")
    });
    none(&strange.collect::<Vec<_>>());
}

/// A source file.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }

    fn at(&self, number: usize, line: &str) -> String {
        format!("{}:{number}: {}", self.name(), line.trim())
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines that are no comments, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.numbered().filter(|(_, line)| is_code(line))
    }

    /// All lines but those of `#[cfg(test)] mod … { … }`, with their numbers.
    fn outside_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut end: Option<String> = None;
        let mut marked = false;
        self.numbered().filter(move |(_, line)| {
            if let Some(closing) = &end {
                if line == closing {
                    end = None;
                }
                return false;
            }
            let indent = &line[..line.len() - line.trim_start().len()];
            if marked && line.contains("mod ") && line.ends_with('{') {
                end = Some(format!("{indent}}}"));
            }
            marked = line.trim() == "#[cfg(test)]" || marked && line.trim().starts_with("#[");
            !marked && end.is_none()
        })
    }

    /// Files that this one declares as `#[cfg(test)] mod …;`.
    fn test_modules(&self) -> Vec<PathBuf> {
        let stem = self.path.file_stem().unwrap_or_default();
        let beside = self.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let folder = if stem == "lib" || stem == "main" { beside } else { beside.join(stem) };
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let pairs = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
        let names = pairs.filter_map(|pair| pair[1].split("mod ").nth(1)?.strip_suffix(';'));
        names.map(|name| folder.join(name)).collect()
    }

    fn is_test(&self, modules: &BTreeSet<PathBuf>) -> bool {
        let relative = self.name();
        let in_folder = relative.split('/').any(|part| part == "tests" || part == "benches");
        let stem = self.path.with_extension("");
        in_folder || stem.ancestors().any(|ancestor| modules.contains(ancestor))
    }
}

fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

/// Every source file of the workspace.
fn all() -> Vec<Source> {
    let rooms = ["api", "engine", "projections", "sagas", "schemas", "tests", "xtask"];
    let files: Vec<Source> = rooms.iter().flat_map(|room| sources(&root().join(room))).collect();
    assert!(!files.is_empty(), "no sources under {}", root().display());
    files
}

fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).expect("a room of the house can be read");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() && !path.ends_with("target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file can be read");
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("this crate stands in the repository").to_path_buf()
}

/// What `cargo metadata` says of this workspace, as far as it is looked at.
#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

fn packages() -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
    let ran = cargo.arg(root().join("Cargo.toml")).output().expect("cargo runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let workspace: Workspace = serde_json::from_slice(&ran.stdout).expect("cargo's description");
    workspace.packages
}

#[track_caller]
fn none(found: &[String]) {
    assert!(found.is_empty(), "{} against the house rules:\n  {}", found.len(), found.join("\n  "));
}
