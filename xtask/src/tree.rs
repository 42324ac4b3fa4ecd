//! The text files of the repository, read once; every check looks only at this.
//!
//! **Invariant:** paths are relative to the root and separated by `/`, and files are in the order of their paths.

use std::path::Path;

use crate::failure::Failure;

/// Folders that hold no source.
const SKIPPED: &[&str] = &[".git", "target", "artifacts", "corpus"];
/// Endings of what counts as text.
const TEXT: &[&str] =
    &[".rs", ".toml", ".md", ".json", ".yml", ".yaml", ".sh", ".svg", "Makefile", "run", "setup"];

/// One text file.
pub(crate) struct Source {
    /// Path from the root of the repository.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// The parsed file, for `.rs`.
    pub(crate) rust: Option<syn::File>,
}

/// All text files.
pub(crate) struct Tree {
    files: Vec<Source>,
}

impl Tree {
    /// Reads the repository.
    ///
    /// # Errors
    /// When a folder or file cannot be read, or a Rust file does not parse.
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let mut paths = Vec::new();
        collect(root, "", &mut paths)?;
        paths.sort();
        let files = paths.into_iter().map(|path| Source::read(root, path)).collect::<Result<_, _>>()?;
        Ok(Self { files })
    }

    /// A tree made of given paths and texts, for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let source = |&(path, text): &(&str, &str)| Source::parse(path.to_owned(), text.to_owned()).unwrap();
        Self { files: files.iter().map(source).collect() }
    }

    /// Every text file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// Every Rust file with its syntax tree.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&Source, &syn::File)> {
        self.files.iter().filter_map(|source| Some((source, source.rust.as_ref()?)))
    }

    /// Every file with an ending.
    pub(crate) fn ending(&self, ending: &str) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(move |source| source.path.ends_with(ending))
    }

    /// One file by its path.
    pub(crate) fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|source| source.path == path)
    }
}

impl Source {
    fn read(root: &Path, path: String) -> Result<Self, Failure> {
        let full = root.join(&path);
        let text = std::fs::read_to_string(&full).map_err(|source| Failure::File {
            operation: "read",
            path: full,
            source,
        })?;
        Self::parse(path, text)
    }

    fn parse(path: String, text: String) -> Result<Self, Failure> {
        let rust = if path.ends_with(".rs") {
            let parsed = syn::parse_file(&text);
            Some(parsed.map_err(|source| Failure::Rust { path: path.clone(), source })?)
        } else {
            None
        };
        Ok(Self { path, text, rust })
    }

    /// The file's name without folder and ending.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.split_once('.').map_or(name, |(stem, _)| stem)
    }

    /// Lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn collect(root: &Path, below: &str, paths: &mut Vec<String>) -> Result<(), Failure> {
    let folder = root.join(below);
    let failed = |source| Failure::File { operation: "list", path: folder.clone(), source };
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            collect(root, &path, paths)?;
        } else if kind.is_file() && TEXT.iter().any(|ending| name.ends_with(ending)) {
            paths.push(path);
        }
    }
    Ok(())
}
