//! Every bound of the policy engine, and the attack or accident it is for. A policy or request
//! that passes a bound is refused as a whole; nothing is cut off and used in part.

/// Bytes of one policy document. Bounds memory and time of loading: a real policy with a hundred
/// rules is a tenth of this.
pub(super) const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// Elements inside each other. Bounds the recursion of parsing and of evaluating a condition
/// (whose expressions can nest no deeper than their elements), and with it the stack. A target
/// needs eight.
pub(super) const MAX_DEPTH: usize = 32;

/// Bytes of one start tag. Bounds the work on a single tag that is nothing but attributes.
pub(super) const MAX_TAG_BYTES: usize = 16 * 1024;

/// Attributes of one tag, namespace declarations included. Bounds the search for duplicates, which
/// compares each with every earlier one.
pub(super) const MAX_ATTRIBUTES_PER_TAG: usize = 32;

/// Namespace declarations in force at once. Bounds the table that every name is looked up in.
pub(super) const MAX_NAMESPACES: usize = 32;

/// Elements of one document. Bounds memory: four bytes of XML can become an element that takes
/// more than a hundred.
pub(super) const MAX_ELEMENTS: usize = 65_536;

/// Bytes of text inside one element. Bounds a single value, which is compared on every request.
pub(super) const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Rules of one policy. Bounds the time of a decision.
pub(super) const MAX_RULES: usize = 2_000;

/// Matches of all targets of one policy together. Bounds the time of a decision: each may be
/// compared with every value of the attribute it names.
pub(super) const MAX_MATCHES: usize = 20_000;

/// Bytes of the pattern of one `regexp-match`. Bounds the time of reading it.
pub(super) const MAX_PATTERN_BYTES: usize = 512;

/// Bytes a pattern may take once compiled, and groups inside each other. Bounds what a short pattern
/// with repetitions of repetitions grows to, and with it the time of a match.
pub(super) const MAX_COMPILED_PATTERN_BYTES: usize = 256 * 1024;
pub(super) const MAX_PATTERN_DEPTH: u32 = 32;

/// Patterns of one policy. Bounds memory together with the size of one.
pub(super) const MAX_PATTERNS: usize = 64;

/// Bytes of a value that is held against a pattern; a longer one is an error, not a mismatch. A match
/// takes time proportional to the value and the compiled pattern together, and the value is the
/// caller's.
pub(super) const MAX_MATCHED_BYTES: usize = 2 * 1024;

/// Obligations of one policy, those of its rules included. Bounds the size of an answer.
pub(super) const MAX_OBLIGATIONS: usize = 256;

/// Notes of one policy. Bounds the time of finding their lines, and what an operator is given to read.
pub(super) const MAX_NOTES: usize = 200;

/// Values of one request. Bounds the time of a decision when a caller may add attributes. A party
/// has some hundred access packages at most.
pub(super) const MAX_VALUES: usize = 2_048;

/// Rules a trace describes. Bounds the text an operator, or a log, is given for one decision.
pub(super) const MAX_NEAR_MISSES: usize = 64;

/// Characters of a name or value that a fault repeats. Bounds what a policy can make us print.
pub(super) const MAX_QUOTED_CHARS: usize = 80;
