//! The blueprints there are: those that come with the program, and over them those of a folder.
//!
//! A file of the folder whose blueprint has the name of another takes its place. The folder is read
//! once, when the orchestrator starts, and a file that cannot be used keeps it from starting: a
//! request would otherwise be planned by something else than what its owner wrote.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use deadelus_core::Problems;

use super::{blueprint::Blueprint, lint};

/// The blueprints that come with the program.
const BUILT_IN: [&str; 4] = [
    include_str!("../../blueprints/slow-endpoint.yaml"),
    include_str!("../../blueprints/payment-endpoint.yaml"),
    include_str!("../../blueprints/subscriptions.yaml"),
    include_str!("../../blueprints/user-authentication.yaml"),
];

/// What a blueprint that comes with the program says of its origin.
const ORIGIN_BUILT_IN: &str = "built in";

/// Files of a folder: nobody reviews more, and the answer that lists them all fits one message.
const FOLDER_FILES_MAX: usize = 200;

/// The endings of a blueprint's file.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// All blueprints by name.
pub type Shelf = BTreeMap<String, Blueprint>;

/// Why the blueprints of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadShelf {
    /// The folder or a file in it cannot be read.
    #[error("orchestrator.blueprints: cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More files than anybody reviews.
    #[error("orchestrator.blueprints: more than {FOLDER_FILES_MAX} files in {}", .0.display())]
    TooMany(PathBuf),
    /// Files that are no blueprints, all of them.
    #[error("{}", listed(.0))]
    Bad(Vec<(String, Problems)>),
}

/// The blueprints that come with the program.
///
/// # Errors
/// [`BadShelf::Bad`]; a test keeps the built-in ones from ever causing it.
pub fn built_in() -> Result<Shelf, BadShelf> {
    stacked(BUILT_IN.map(|text| (ORIGIN_BUILT_IN.to_owned(), text.to_owned())))
}

/// The built-in ones, and over them those of a folder.
///
/// # Errors
/// [`BadShelf`], with everything that is wrong in any file.
pub fn open(folder: Option<&Path>) -> Result<Shelf, BadShelf> {
    let mut shelf = built_in()?;
    if let Some(folder) = folder {
        shelf.extend(stacked(files(folder)?)?);
    }
    Ok(shelf)
}

/// Origins with texts, in the order of their names.
fn files(folder: &Path) -> Result<Vec<(String, String)>, BadShelf> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| BadShelf::Unreadable { path, source }
    };
    let mut paths = vec![];
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.extension().is_some_and(|e| ENDINGS.iter().any(|ending| e == *ending)) {
            paths.push(path);
        }
        if paths.len() > FOLDER_FILES_MAX {
            return Err(BadShelf::TooMany(folder.to_owned()));
        }
    }
    paths.sort();
    let text = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        Ok((path.display().to_string(), text))
    };
    paths.into_iter().map(text).collect()
}

/// All of them, or everything that is wrong. Pure.
fn stacked(files: impl IntoIterator<Item = (String, String)>) -> Result<Shelf, BadShelf> {
    let mut shelf = Shelf::new();
    let mut bad = vec![];
    for (source, text) in files {
        match lint::read(&text) {
            Err(problems) => bad.push((source, problems)),
            Ok(blueprint) => match shelf.get(&blueprint.blueprint) {
                Some(other) => {
                    let what = format!("{} has this name too", other.source);
                    bad.push((source, Problems::one("blueprint", what)));
                }
                None => {
                    let name = blueprint.blueprint.clone();
                    shelf.insert(name, Blueprint { source, ..blueprint });
                }
            },
        }
    }
    if bad.is_empty() { Ok(shelf) } else { Err(BadShelf::Bad(bad)) }
}

fn listed(bad: &[(String, Problems)]) -> impl fmt::Display {
    let of_one = |(source, problems): &(String, Problems)| -> Vec<String> {
        problems.iter().map(|problem| format!("\n  {source}: {problem}")).collect()
    };
    let lines: Vec<String> = bad.iter().flat_map(of_one).collect();
    format!(
        "orchestrator.blueprints: some files are no blueprints; `deadelus lint FILE` looks at one{}",
        lines.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str, title: &str) -> String {
        BUILT_IN[0].replacen("blueprint: slow-endpoint", &format!("blueprint: {name}"), 1).replacen(
            "title: Find",
            &format!("title: {title}"),
            1,
        )
    }

    #[test]
    fn a_folder_adds_and_overrides() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine.yaml"), own("mine", "Mine")).unwrap();
        fs::write(folder.path().join("slow.yml"), own("slow-endpoint", "Ours")).unwrap();
        fs::write(folder.path().join("notes.txt"), "no blueprint").unwrap();
        let shelf = open(Some(folder.path())).unwrap();
        assert_eq!(shelf.len(), BUILT_IN.len() + 1);
        assert!(shelf["slow-endpoint"].title.starts_with("Ours"));
        assert!(shelf["mine"].source.ends_with("mine.yaml"), "{}", shelf["mine"].source);
        assert_eq!(built_in().unwrap()["slow-endpoint"].source, ORIGIN_BUILT_IN);
    }

    #[test]
    fn every_bad_file_is_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "blueprint: a\n").unwrap();
        fs::write(folder.path().join("b.yaml"), own("b", "B")).unwrap();
        fs::write(folder.path().join("c.yaml"), own("b", "C")).unwrap();
        let said = open(Some(folder.path())).unwrap_err().to_string();
        assert!(said.contains("a.yaml: ") && said.contains("\"plan\""), "{said}");
        assert!(said.contains("c.yaml: blueprint: ") && said.contains("b.yaml has"), "{said}");
        let gone = open(Some(&folder.path().join("gone"))).unwrap_err().to_string();
        assert!(gone.contains("gone"), "{gone}");
    }
}
