//! First stage: which files are read. I/O: reads files, folders and the standard input.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Largest file. A Harness may have 1.5 MB, which is what the API server takes in one request.
const FILE_LIMIT: u64 = 32 << 20;
/// Deepest folder below one that is given.
const FOLDER_DEPTH: usize = 32;
/// The endings of files that are looked for in folders.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];
/// The name that stands for the standard input.
pub const STANDARD_INPUT: &str = "-";

/// A file that was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Source {
    /// The file's path as it was given or found; `<stdin>` for the standard input.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// Bytes whose lines are never shown: Secrets, and what might be some.
    pub hidden: Vec<Range<usize>>,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or folder could not be read.
    #[error("{path} can't be read: {source}; check the path and its permissions")]
    Unreadable {
        /// The path.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not text.
    #[error("{path} is not UTF-8 text; give YAML or JSON files")]
    NotText {
        /// The path.
        path: String,
    },
    /// The file is larger than what is read.
    #[error("{path} is larger than {} MiB; split it", FILE_LIMIT >> 20)]
    TooLarge {
        /// The path.
        path: String,
    },
    /// A folder has no file that could be read.
    #[error("the folder {path} has no *.yaml, *.yml or *.json file; give the folder that has")]
    Empty {
        /// The path.
        path: String,
    },
    /// Folders are nested too deeply.
    #[error("{path} is more than {FOLDER_DEPTH} folders deep; give a folder nearer to the files")]
    TooDeep {
        /// The path.
        path: String,
    },
    /// The standard input was given twice.
    #[error("the standard input (-) can be read once; give it once")]
    StandardInputTwice,
}

/// Reads files, folders with everything below them, and `-`, in the order given and sorted within a folder. A file
/// that is reached twice is read once. Names that start with a dot are passed over in folders.
pub fn read(paths: &[PathBuf], standard_input: &mut dyn Read) -> Result<Vec<Source>, Error> {
    let mut files = Vec::new();
    let mut seen = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        files.clear();
        if path.as_os_str() == STANDARD_INPUT {
            if seen.contains(path) {
                return Err(Error::StandardInputTwice);
            }
            seen.push(path.clone());
            let text = text("<stdin>", standard_input)?;
            sources.push(Source { name: "<stdin>".into(), text, hidden: Vec::new() });
            continue;
        }
        if fs::metadata(path).map_err(|source| unreadable(path, source))?.is_dir() {
            below(path, 0, &mut files)?;
            if files.is_empty() {
                return Err(Error::Empty { path: shown(path) });
            }
        } else {
            files.push(path.clone());
        }
        for file in files.drain(..) {
            let identity = fs::canonicalize(&file).map_err(|source| unreadable(&file, source))?;
            if seen.contains(&identity) {
                continue;
            }
            seen.push(identity);
            let mut opened = fs::File::open(&file).map_err(|source| unreadable(&file, source))?;
            let name = shown(&file);
            sources.push(Source { text: text(&name, &mut opened)?, name, hidden: Vec::new() });
        }
    }
    Ok(sources)
}

/// The files of a folder, sorted by name. Links to folders are not followed: they can lead in circles.
fn below(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    if depth > FOLDER_DEPTH {
        return Err(Error::TooDeep { path: shown(folder) });
    }
    let failed = |source| unreadable(folder, source);
    let mut entries: Vec<fs::DirEntry> = fs::read_dir(folder).and_then(Iterator::collect).map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(|source| unreadable(&path, source))?;
        let has_ending = path
            .extension()
            .is_some_and(|found| ENDINGS.iter().any(|ending| found.eq_ignore_ascii_case(ending)));
        if kind.is_dir() {
            below(&path, depth + 1, files)?;
        } else if has_ending && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn text(name: &str, reader: &mut dyn Read) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let path = || name.to_owned();
    let source = |source| Error::Unreadable { path: path(), source };
    reader.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(source)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(Error::TooLarge { path: path() });
    }
    String::from_utf8(bytes).map_err(|_| Error::NotText { path: path() })
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Unreadable { path: shown(path), source }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
