//! A file of records that is put aside when it is full, and the oldest of which goes.
//!
//! Invariant: what is put aside ends with a whole line, and no record is lost by it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// When a file is put aside, and how many are kept. Bounds what records take on a disk: `max_bytes`, `keep` times and once
/// more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of one file.
    pub max_bytes: u64,
    /// Files that are kept beside the present one: `NAME.1` is the latest.
    pub keep: u32,
}

/// Appends to a file, or to the next one.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    written: u64,
    /// Put aside no earlier. More than `max_bytes` only after a fault.
    due: u64,
    /// Whether what is written ends with a line.
    whole: bool,
}

impl RotatingFile {
    /// Goes on where the file ends.
    pub fn open(path: PathBuf, rotation: Rotation) -> io::Result<Self> {
        let file = append(&path)?;
        let written = file.metadata()?.len();
        Ok(Self { path, rotation, file, written, due: rotation.max_bytes, whole: true })
    }

    /// `NAME.1` becomes `NAME.2` and so on; the last one is written over.
    fn put_aside(&mut self) -> io::Result<()> {
        // After a fault it may be aside already, and only the next one is missing.
        if !self.path.exists() {
            return self.begin_next();
        }
        for number in (1..self.rotation.keep).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number.saturating_add(1))) {
                Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
                Ok(()) | Err(_) => {}
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.begin_next()
    }

    fn begin_next(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        self.written = 0;
        self.due = self.rotation.max_bytes;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// A file that records are added to the end of, each as a line of its own: what a process that was killed has left of
/// one is ended first.
pub fn append(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    if is_torn(path, &file)? {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Whether the file ends in the midst of a line. Pipes and devices have no end to look at.
fn is_torn(path: &Path, file: &File) -> io::Result<bool> {
    let about = file.metadata()?;
    let Some(last) = about.len().checked_sub(1).filter(|_| about.is_file()) else {
        return Ok(false);
    };
    let mut end = [0];
    // A file that may be written and not read is none that we can mend.
    let read = File::open(path).and_then(|file| file.read_at(&mut end, last));
    Ok(read.is_ok_and(|count| count == 1) && end != *b"\n")
}

impl Write for RotatingFile {
    /// Whole lines as a rule; what is left of one that was taken in part belongs into the same file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let full = self.written > 0 && self.written.saturating_add(more) > self.due;
        if full
            && self.whole
            && let Err(fault) = self.put_aside()
        {
            // A file that grows is better than records that are gone. Told, and tried again, once in a while.
            tracing::warn!(%fault, "the file of decision records cannot be put aside, and grows");
            self.due = self.written.saturating_add(self.rotation.max_bytes);
        }
        let count = self.file.write(bytes)?;
        self.written = self.written.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.whole = bytes.get(..count).is_some_and(|taken| taken.ends_with(b"\n"));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_was_put_aside_without_a_next_one_gets_it() {
        let folder = Folder::new();
        let path = folder.0.join("records");
        let mut file =
            RotatingFile::open(path.clone(), Rotation { max_bytes: 4, keep: 3 }).unwrap();
        file.write_all(b"one\n").unwrap();
        // As after a fault between the two steps.
        fs::rename(&path, folder.0.join("records.1")).unwrap();
        file.write_all(b"two\n").unwrap();
        file.write_all(b"tri\n").unwrap();
        let found =
            ["records", "records.1", "records.2", "records.3"].map(|name| folder.read(name));
        let expected = [Some("tri\n"), Some("two\n"), Some("one\n"), None];
        assert_eq!(found.each_ref().map(Option::as_deref), expected);
    }

    #[test]
    fn what_was_left_of_a_line_takes_none_with_it() {
        let folder = Folder::new();
        let path = folder.0.join("records");
        for (left, expected) in [("", "b\n"), ("a\n", "a\nb\n"), ("a\n{\"ti", "a\n{\"ti\nb\n")] {
            fs::write(&path, left).unwrap();
            append(&path).unwrap().write_all(b"b\n").unwrap();
            assert_eq!(folder.read("records").unwrap(), expected);
        }
        assert!(append(Path::new("/dev/null")).is_ok());
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("portvakt-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.0.join(name)).ok()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn open(folder: &Folder, max_bytes: u64, keep: u32) -> RotatingFile {
        RotatingFile::open(folder.0.join("r"), Rotation { max_bytes, keep }).unwrap()
    }

    #[test]
    fn the_latest_files_are_kept_in_order_and_no_line_is_torn() {
        let folder = Folder::new();
        let mut file = open(&folder, 8, 2);
        for line in ["one\n", "two\n", "three\n", "four\n", "a long line\n", "six\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(folder.read("r").unwrap(), "six\n");
        assert_eq!(folder.read("r.1").unwrap(), "a long line\n", "longer than a file, and whole");
        assert_eq!(folder.read("r.2").unwrap(), "four\n");
        assert_eq!(folder.read("r.3"), None);
        drop(file);
        let mut file = open(&folder, 8, 2);
        file.write_all(b"seven\n").unwrap();
        assert_eq!(folder.read("r.1").unwrap(), "six\n", "what was there counts");
    }

    #[test]
    fn half_a_line_is_ended_in_the_file_that_it_began_in() {
        let folder = Folder::new();
        let mut file = open(&folder, 8, 1);
        file.write_all(b"one\ntw").unwrap();
        file.write_all(b"o\nthree\n").unwrap();
        file.write_all(b"four\n").unwrap();
        assert_eq!(folder.read("r.1").unwrap(), "one\ntwo\nthree\n");
        assert_eq!(folder.read("r").unwrap(), "four\n");
    }

    #[test]
    fn where_nothing_can_be_put_aside_nothing_is_lost() {
        let folder = Folder::new();
        let mut file = open(&folder, 8, 1);
        // A folder cannot be written over.
        fs::create_dir_all(folder.0.join("r.1/in-the-way")).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(folder.read("r").unwrap(), "one\ntwo\nthree\nfour\n");
        fs::remove_dir_all(folder.0.join("r.1")).unwrap();
        file.write_all(b"five\n").unwrap();
        assert_eq!(
            (folder.read("r").unwrap(), folder.read("r.1").unwrap().len()),
            ("five\n".into(), 19)
        );
    }
}
