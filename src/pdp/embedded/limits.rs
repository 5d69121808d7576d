//! Every bound of the room. A file that passes one is refused as a whole.

/// Entries of one list at the top of the directory, or of the members of an access list. Bounds memory
/// and the time of a start: a directory is written by people or generated for a load test. Twice the
/// hundred thousand delegations that such a test has; a list of more comes from a generator that does
/// not stop, or from an export that belongs in a database.
pub const MAX_ENTRIES: usize = 200_000;

/// Entries of a list inside an entry: packages, rights, clients, members. Bounds the time of one
/// decision, which may look at each of them.
pub(super) const MAX_NESTED: usize = 2_000;

/// Characters of a name, code or id. Bounds what the file can make a log or an answer repeat.
pub(super) const MAX_NAME_CHARS: usize = 200;

/// Faults that are reported of one file. Bounds the text an operator gets for a file that is not a
/// directory at all.
pub(super) const MAX_FAULTS: usize = 100;

/// Ways to a permit that the reasons of one answer list. Bounds the text an operator is given: a
/// policy may name hundreds of packages.
pub(super) const MAX_MISSING: usize = 16;

/// Combinations of alternatives that are looked at for them. Bounds the time of explaining a rule
/// with many blocks.
pub(super) const MAX_COMBINATIONS: usize = 256;

/// Entries of every other list in the reasons of one answer. Bounds their text likewise.
pub(super) const MAX_LISTED: usize = 8;

/// Resource policies of one store. Bounds memory and the time of loading; each has its own limits.
pub(super) const MAX_POLICIES: usize = 2_000;
