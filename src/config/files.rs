//! Where configuration, rules and policies are read from: the disk, or memory for what is built into the
//! program. Secrets and keys are not read here; they are always on the disk.
//!
//! Invariant: nothing larger than its caller's limit gets into memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256, digest};
use bytes::Bytes;

/// Files of one kind in one folder. Bounds what a mistaken path can cost at start.
pub const MAX_FILES_OF_FOLDER: usize = 1000;

/// Bytes that are looked at of a file that is read elsewhere; its reader takes no more.
const MAX_NAMED: u64 = 1024 * 1024;

/// A set of files.
#[derive(Clone, Debug, Default)]
pub enum Files {
    /// Those of this machine.
    #[default]
    Disk,
    /// These and no others, by path.
    Memory(BTreeMap<PathBuf, Bytes>),
    /// Others, with a note of what was found in them.
    Noted(Box<Files>, Notes),
}

/// What was found in files and folders, for those who want to know whether they would find the same again.
/// Clones are one notebook.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    /// How much of a file was read at most, and what came of it.
    reads: BTreeMap<PathBuf, (usize, Seen)>,
    /// Of files that are read elsewhere.
    named: BTreeMap<PathBuf, Seen>,
    /// By folder and extension.
    lists: BTreeMap<(PathBuf, String), Option<Vec<PathBuf>>>,
}

/// The hash of a content (SHA-256), or why there was none.
type Seen = Result<Vec<u8>, io::ErrorKind>;

impl Notes {
    /// Whether all that was noted would be found again. It reads every file anew.
    pub fn hold(&self, files: &Files) -> bool {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lists = noted.lists.iter();
        let mut reads = noted.reads.iter();
        let mut named = noted.named.iter();
        named.all(|(path, seen)| seen_at(path) == *seen)
            && lists
                .all(|((folder, extension), found)| files.list(folder, extension).ok() == *found)
            && reads.all(|(path, (max, seen))| seen_in(&files.read(path, *max)) == *seen)
    }

    /// What would be found at this time, of all that was noted and of files that have come beside it.
    #[must_use]
    pub fn again(&self, files: &Files) -> Self {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lists: BTreeMap<_, _> =
            noted.lists.keys().map(|at| (at.clone(), files.list(&at.0, &at.1).ok())).collect();
        let beside = lists.values().flatten().flatten();
        let named = noted.named.keys().chain(beside);
        let found = Noted {
            named: named.map(|path| (path.clone(), seen_at(path))).collect(),
            reads: noted
                .reads
                .iter()
                .map(|(path, (max, _))| (path.clone(), (*max, seen_in(&files.read(path, *max)))))
                .collect(),
            lists,
        };
        Self(Arc::new(Mutex::new(found)))
    }
}

/// What is in a file, hashed piece by piece: it may be a secret, of which no copy is to be left. What is no file, such as a pipe,
/// would be gone for its reader, and counts as one kind of absence.
fn seen_at(path: &Path) -> Seen {
    let kind = |fault: io::Error| fault.kind();
    if !std::fs::metadata(path).map_err(kind)?.is_file() {
        return Err(io::ErrorKind::InvalidInput);
    }
    let mut file = File::open(path).map_err(kind)?.take(MAX_NAMED);
    let (mut hash, mut piece) = (Context::new(&SHA256), [0; 1024]);
    loop {
        match file.read(&mut piece).map_err(kind)? {
            0 => return Ok(hash.finish().as_ref().to_vec()),
            count => hash.update(piece.get(..count).unwrap_or_default()),
        }
    }
}

fn seen_in(read: &io::Result<Bytes>) -> Seen {
    let hash = |bytes: &Bytes| digest(&SHA256, bytes).as_ref().to_vec();
    read.as_ref().map(hash).map_err(io::Error::kind)
}

impl Files {
    /// Files at hand.
    pub fn memory<P: AsRef<Path>, B: Into<Bytes>>(files: impl IntoIterator<Item = (P, B)>) -> Self {
        let files = files.into_iter();
        Self::Memory(files.map(|(path, bytes)| (plain(path.as_ref()), bytes.into())).collect())
    }

    /// At most `max + 1` bytes of the file at `path`: the one too many shows that it is too large.
    pub fn read(&self, path: &Path, max: usize) -> io::Result<Bytes> {
        let limit = max.saturating_add(1);
        match self {
            Self::Disk => {
                let mut bytes = Vec::new();
                let limit = u64::try_from(limit).unwrap_or(u64::MAX);
                File::open(path)?.take(limit).read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
            Self::Memory(files) => {
                let bytes = files.get(&plain(path)).ok_or(io::ErrorKind::NotFound)?;
                Ok(bytes.slice(..bytes.len().min(limit)))
            }
            Self::Noted(files, notes) => {
                let read = files.read(path, max);
                let mut noted = notes.0.lock().unwrap_or_else(PoisonError::into_inner);
                noted.reads.insert(path.to_owned(), (max, seen_in(&read)));
                read
            }
        }
    }

    /// Notes what is in a file that is read elsewhere, if notes are taken: before that reading, so that a
    /// change in between is seen.
    pub fn note(&self, path: &Path) {
        if let Self::Noted(_, notes) = self {
            let mut noted = notes.0.lock().unwrap_or_else(PoisonError::into_inner);
            noted.named.insert(path.to_owned(), seen_at(path));
        }
    }

    /// The files in `folder` itself whose names end in `.extension`, by name. Hidden ones are left
    /// out: mounted ConfigMaps keep their old versions in such folders.
    pub fn list(&self, folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
        let wanted = |path: &Path| {
            let hidden =
                path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            !hidden && path.extension().is_some_and(|found| found == extension)
        };
        let mut found = Vec::new();
        match self {
            Self::Disk => {
                for entry in std::fs::read_dir(folder)? {
                    let path = entry?.path();
                    // Through symbolic links, which mounted ConfigMaps consist of.
                    if wanted(&path) && !path.is_dir() {
                        found.push(path);
                    }
                    if found.len() > MAX_FILES_OF_FOLDER {
                        let message = format!("more than {MAX_FILES_OF_FOLDER} files");
                        return Err(io::Error::other(message));
                    }
                }
            }
            Self::Memory(files) => {
                let plain = plain(folder);
                if !files.keys().any(|path| path.starts_with(&plain)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let inside = files.keys().filter(|path| path.parent() == Some(&plain));
                let names = inside.filter(|path| wanted(path)).filter_map(|path| path.file_name());
                found.extend(names.map(|name| folder.join(name)));
            }
            Self::Noted(files, notes) => {
                let listed = files.list(folder, extension);
                let mut noted = notes.0.lock().unwrap_or_else(PoisonError::into_inner);
                let at = (folder.to_owned(), extension.to_owned());
                noted.lists.insert(at, listed.as_ref().ok().cloned());
                return listed;
            }
        }
        found.sort();
        Ok(found)
    }
}

/// `config/../policies/./a.yaml` as `policies/a.yaml`: there are no links in memory.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            Component::ParentDir
            | Component::Normal(_)
            | Component::RootDir
            | Component::Prefix(_) => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_memory_are_found_by_any_spelling_of_their_path() {
        let files = Files::memory([
            ("policies/routes/b.yaml", "b"),
            ("policies/routes/a.yaml", "abc"),
            ("policies/routes/.hidden.yaml", "x"),
            ("policies/routes/deeper/c.yaml", "x"),
            ("policies/routes/readme.md", "x"),
        ]);
        let folder = Path::new("config/../policies/./routes");
        let found = files.list(folder, "yaml").unwrap();
        assert_eq!(found, [folder.join("a.yaml"), folder.join("b.yaml")]);
        assert_eq!(files.read(&found[0], 5).unwrap(), "abc");
        assert_eq!(files.read(&found[0], 1).unwrap(), "ab", "one too many");
        let missing = files.read(Path::new("policies/a.yaml"), 1).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(files.list(Path::new("policies/tests"), "yaml").is_err());
        assert_eq!(files.list(Path::new("policies"), "yaml").unwrap(), [""; 0].map(PathBuf::from));
    }
}
