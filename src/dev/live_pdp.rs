//! The embedded PDP over files that change while it answers: read whole, checked whole, and taken into use
//! only without an error.
//!
//! What it does not do: watch, print, or listen. Invariants: a question sees policies and directory of one
//! reading; the handle of the directory stays the same through every reload.

use super::pdp_face::Explained;
use crate::config::diagnostic::Origin;
use crate::config::files::Notes;
use crate::config::{self, Diagnostics, Files};
use crate::domain::CheckDigits;
use crate::pdp::embedded::{Api, Directory, DirectoryHandle, EmbeddedPdp, PolicyStore};
use crate::pdp::wire::WireCategory;
use crate::xacml::Mode;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Where policies and directory are.
#[derive(Clone, Debug)]
pub struct PdpFiles {
    files: Files,
    resources: PathBuf,
    directory: PathBuf,
}

/// The PDP. Its questions wait for nothing but the moment in which a reload takes effect.
#[derive(Debug)]
pub struct LivePdp {
    files: PdpFiles,
    pdp: RwLock<EmbeddedPdp>,
    directory: DirectoryHandle,
    /// Held while files are read, so that an older reading never follows a newer one.
    reading: Mutex<Reading>,
}

/// What was read last.
#[derive(Debug)]
struct Reading {
    notes: Notes,
    /// As it was taken into use: another one in its place was changed since.
    directory: Arc<Directory>,
}

/// What became of a reload.
#[derive(Debug)]
pub enum Reloaded {
    /// The files are in use.
    Taken {
        /// What their authors should know.
        diagnostics: Diagnostics,
        /// What became of changes that were made at run time.
        changes: Changes,
    },
    /// There are errors; the PDP answers as before.
    Refused(Diagnostics),
}

/// Changes of the directory that were made at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// There were none.
    None,
    /// They are gone: what the file says has taken their place.
    Replaced,
}

/// How much a PDP decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Policies.
    pub policies: usize,
    /// Resources that they cover.
    pub resources: usize,
    /// System users.
    pub system_users: usize,
}

impl PdpFiles {
    /// `resources/*.xml` and `directory.yaml` in this folder.
    #[must_use]
    pub fn new(files: Files, folder: &Path) -> Self {
        let (resources, directory) = (folder.join("resources"), folder.join("directory.yaml"));
        Self { files, resources, directory }
    }

    /// What the files say, and a note of what was found in each that it took.
    fn load(&self) -> (Option<(PolicyStore, Directory)>, Diagnostics, Notes) {
        let mut diagnostics = Diagnostics::new();
        let notes = Notes::default();
        let files = Files::Noted(Box::new(self.files.clone()), notes.clone());
        let origin = Origin::Nowhere;
        let policies = config::load_policies(&files, &self.resources, &origin, &mut diagnostics);
        let directory = config::load_directory(
            &files,
            &self.directory,
            CheckDigits::Strict,
            policies.as_ref(),
            &mut diagnostics,
        );
        let loaded = policies.zip(directory).filter(|_| !diagnostics.has_errors());
        (loaded, diagnostics, notes)
    }
}

impl LivePdp {
    /// Reads the files. No PDP after an error.
    #[must_use]
    pub fn load(files: PdpFiles, mode: Mode) -> (Option<Self>, Diagnostics) {
        let (loaded, diagnostics, notes) = files.load();
        let pdp = loaded.map(|(policies, directory)| {
            let pdp = EmbeddedPdp::new(policies, directory, mode);
            let directory = pdp.directory();
            let reading = Mutex::new(Reading { notes, directory: directory.current() });
            Self { files, pdp: RwLock::new(pdp), directory, reading }
        });
        (pdp, diagnostics)
    }

    /// Answers one question of the HTTP face, and says why.
    pub fn answer(&self, api: Api, asked: &[&WireCategory]) -> Explained {
        let pdp = self.pdp.read().unwrap_or_else(PoisonError::into_inner);
        let (answered, reasons) = pdp.answer_wire_explained(api, asked);
        (answered, Some(reasons))
    }

    /// The way to look at the directory and to change it, for as long as the PDP lives.
    #[must_use]
    pub fn directory(&self) -> DirectoryHandle {
        self.directory.clone()
    }

    /// How much it decides by now.
    #[must_use]
    pub fn size(&self) -> Size {
        self.look(|pdp| {
            let store = pdp.policies();
            let policies = store.resources().filter_map(|id| store.policy(id)).map(Arc::as_ptr);
            Size {
                policies: policies.collect::<BTreeSet<_>>().len(),
                resources: store.resources().count(),
                system_users: self.directory.current().system_users().count(),
            }
        })
    }

    /// Looks at the PDP; a reload waits as long.
    pub fn look<T>(&self, look: impl FnOnce(&EmbeddedPdp) -> T) -> T {
        look(&self.pdp.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again, and takes them into use if there is no error. Reads files: not for a thread
    /// that serves requests.
    pub fn reload(&self) -> Reloaded {
        self.take(&mut self.reading())
    }

    /// The same, if their content is another than when they were last read.
    pub fn reload_if_changed(&self) -> Option<Reloaded> {
        let mut reading = self.reading();
        if reading.notes.hold(&self.files.files) {
            return None;
        }
        Some(self.take(&mut reading))
    }

    fn take(&self, reading: &mut Reading) -> Reloaded {
        let (loaded, diagnostics, notes) = self.files.load();
        reading.notes = notes;
        let Some((policies, directory)) = loaded else { return Reloaded::Refused(diagnostics) };
        let mut pdp = self.pdp.write().unwrap_or_else(PoisonError::into_inner);
        let changed = !Arc::ptr_eq(&reading.directory, &self.directory.current());
        *pdp = pdp.with_policies(policies);
        self.directory.replace(directory);
        reading.directory = self.directory.current();
        let changes = if changed { Changes::Replaced } else { Changes::None };
        Reloaded::Taken { diagnostics, changes }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const PARTY: &str = "parties: [{ organization: '314330897', name: A }]\n";

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("portvakt-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(folder.join("resources")).unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/resources");
        let policy = "ske-mva-melding.xml";
        fs::copy(example.join(policy), folder.join("resources").join(policy)).unwrap();
        fs::write(folder.join("directory.yaml"), PARTY).unwrap();
        folder
    }

    #[test]
    fn files_are_taken_into_use_whole_or_not_at_all_and_the_handle_stays() {
        let folder = folder();
        let (pdp, diagnostics) = LivePdp::load(PdpFiles::new(Files::Disk, &folder), Mode::Altinn);
        let pdp = pdp.unwrap_or_else(|| panic!("{}", diagnostics.to_json_lines()));
        let handle = pdp.directory();
        assert!(pdp.reload_if_changed().is_none(), "nothing has changed");

        let second = "  - { organization: '314242726', name: B }\n";
        fs::write(folder.join("directory.yaml"), format!("parties:\n{second}")).unwrap();
        assert!(matches!(
            pdp.reload_if_changed(),
            Some(Reloaded::Taken { changes: Changes::None, .. })
        ));
        let taken = handle.current();

        fs::write(folder.join("resources/broken.xml"), "<Policy>").unwrap();
        fs::write(folder.join("directory.yaml"), PARTY).unwrap();
        assert!(matches!(pdp.reload_if_changed(), Some(Reloaded::Refused(_))));
        assert!(Arc::ptr_eq(&handle.current(), &taken), "the good half of a bad reading");
        assert!(pdp.reload_if_changed().is_none(), "said once");
        assert!(matches!(pdp.reload(), Reloaded::Refused(_)), "and whenever asked");

        fs::remove_file(folder.join("resources/broken.xml")).unwrap();
        handle.replace(Directory::clone(&taken));
        let Some(Reloaded::Taken { changes, .. }) = pdp.reload_if_changed() else { panic!() };
        assert_eq!(changes, Changes::Replaced);
        assert_eq!(pdp.size(), Size { policies: 1, resources: 1, system_users: 0 });
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_delegation_policy_that_is_mended_is_taken_into_use_by_itself() {
        let folder = folder();
        let directory = "parties:
  - { organization: '314330897', name: A }
  - { organization: '314242726', name: B }
delegation_policies:
  - { from: '314330897', to: '314242726', resource: ske-mva-melding, file: given/one.xml }
";
        fs::create_dir(folder.join("given")).unwrap();
        let policy = fs::read_to_string(folder.join("resources/ske-mva-melding.xml")).unwrap();
        let given = folder.join("given/one.xml");
        fs::write(&given, &policy).unwrap();
        fs::write(folder.join("directory.yaml"), directory).unwrap();
        let (pdp, diagnostics) = LivePdp::load(PdpFiles::new(Files::Disk, &folder), Mode::Altinn);
        let pdp = pdp.unwrap_or_else(|| panic!("{}", diagnostics.to_json_lines()));
        assert!(pdp.reload_if_changed().is_none(), "nothing has changed");
        fs::write(&given, "<Policy>").unwrap();
        assert!(matches!(pdp.reload_if_changed(), Some(Reloaded::Refused(_))));
        fs::write(&given, &policy).unwrap();
        assert!(matches!(pdp.reload_if_changed(), Some(Reloaded::Taken { .. })));
        fs::remove_file(&given).unwrap();
        assert!(matches!(pdp.reload_if_changed(), Some(Reloaded::Refused(_))));
        fs::remove_dir_all(folder).unwrap();
    }
}
