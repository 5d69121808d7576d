//! The templates of one host as a tree of segments, walked level by level.
//!
//! Every node that the path so far can reach is live at once, so nothing is tried twice: the cost follows
//! the depth of the path and the few nodes live at a level (never more than the templates that still
//! match), not the number of rules. Which of the rules reached wins is `find`'s to say.

use super::alike::{fold, lower_ascii};
use super::rule::RouteRule;
use super::template::TemplateSegment;
use crate::domain::RequestPath;
use smallvec::{SmallVec, smallvec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The rules of one host (or of any host), by path.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<Box<str>, Self>,
    /// Literals of rules with `case: insensitive`, in lower case.
    literals_any_case: BTreeMap<Box<str>, Self>,
    /// Every literal child with its case folded, to notice captures that catch another spelling.
    folded: BTreeSet<Box<str>>,
    capture: Option<Box<Self>>,
    rest: Ends,
    ends: Ends,
}

/// Rules whose template ends here.
#[derive(Debug, Default)]
struct Ends {
    plain: Vec<Arc<RouteRule>>,
    slashed: Vec<Arc<RouteRule>>,
}

/// As many rules or nodes as a path reaches without an allocation.
const FEW: usize = 4;

/// What a path reaches in a tree.
#[derive(Debug)]
pub(super) struct Reached<'t> {
    /// The rules whose template matches, in no particular order.
    pub(super) rules: SmallVec<[&'t Arc<RouteRule>; FEW]>,
    /// The levels on which the segment, its case folded, equals a literal that was possible there.
    pub(super) literal_levels: Levels,
}

/// A set of levels of a path.
#[derive(Debug, Default)]
pub(super) struct Levels([u64; RequestPath::MAX_SEGMENTS / 64]);

impl Levels {
    fn add(&mut self, level: usize) {
        if let Some(word) = self.0.get_mut(level / 64) {
            *word |= 1 << (level % 64);
        }
    }

    pub(super) fn contains(&self, level: usize) -> bool {
        self.0.get(level / 64).is_some_and(|word| word & (1 << (level % 64)) != 0)
    }
}

impl Tree {
    pub(super) fn insert(&mut self, rule: &Arc<RouteRule>) {
        let template = rule.template();
        let mut node = &mut self.root;
        let mut is_rest = false;
        for segment in template.segments() {
            match segment {
                TemplateSegment::Literal(text) => {
                    node.folded.insert(fold(text).into());
                    node = if rule.ignores_case() {
                        node.literals_any_case.entry(lower_ascii(text).into()).or_default()
                    } else {
                        node.literals.entry(text.clone()).or_default()
                    };
                }
                TemplateSegment::Capture(_) => node = node.capture.get_or_insert_default(),
                TemplateSegment::Rest(_) => is_rest = true,
            }
        }
        let ends = if is_rest { &mut node.rest } else { &mut node.ends };
        let list = if template.ends_with_slash() { &mut ends.slashed } else { &mut ends.plain };
        list.push(Arc::clone(rule));
    }

    pub(super) fn walk(&self, path: &RequestPath) -> Reached<'_> {
        let slash = path.ends_with_slash();
        let mut reached = Reached { rules: SmallVec::new(), literal_levels: Levels::default() };
        let mut live: SmallVec<[&Node; FEW]> = smallvec![&self.root];
        let mut next = SmallVec::new();
        for (level, segment) in path.segments().enumerate() {
            let text = segment.decoded.as_ref();
            for node in live.drain(..) {
                reached.rules.extend(node.rest.list(slash));
                if node.is_literal(text) {
                    reached.literal_levels.add(level);
                }
                next.extend(node.literals.get(text));
                if !node.literals_any_case.is_empty() {
                    next.extend(node.literals_any_case.get(lower_ascii(text).as_ref()));
                }
                next.extend(node.capture.as_deref());
            }
            std::mem::swap(&mut live, &mut next);
            if live.is_empty() {
                break;
            }
        }
        for node in live {
            reached.rules.extend(node.ends.list(slash));
        }
        reached
    }
}

impl Node {
    /// Whether the text, in any case, is one of the literals here.
    fn is_literal(&self, text: &str) -> bool {
        !self.folded.is_empty() && self.folded.contains(fold(text).as_ref())
    }
}

impl Ends {
    fn list(&self, slash: bool) -> &[Arc<RouteRule>] {
        if slash { &self.slashed } else { &self.plain }
    }
}
