//! By which of its checks each condition is looked up.
//!
//! For a conjunction one part that can be looked up is enough, for a disjunction all of them are needed; a negated check
//! cannot be, because a value without the constant passes. Of several possibilities the one is taken that is likely to
//! find the condition least often, at the least cost per event. All of this is estimates: they decide what is fast, never
//! what is found.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::atom::{Atoms, Kind, atoms_of};
use super::node::How;
use super::odds;
use super::quick_hash::QuickMap;
use super::residual::{Residuals, Shape};

/// How many conditions have to share a slot for it to be worth reading.
const FEWEST: usize = 8;
/// How many atoms of a check are looked at to estimate how rare it is.
const SAMPLE: usize = 16;
/// What a condition that was found for nothing costs, in nanoseconds.
const FALSE_ALARM: f32 = 30.0;
/// More likely than this to be found, a condition is better evaluated together with others.
const COMMON: f32 = 0.5;

/// A check that can be looked up.
#[derive(Debug)]
pub(super) struct Part<'c> {
    /// The value it looks at.
    pub(super) slot: u32,
    pub(super) atoms: Atoms<'c>,
    /// How likely it is to be found, and what looking costs.
    passes: f32,
    cost: f32,
}

/// The checks by which conditions are looked up.
#[derive(Debug)]
pub(super) struct Choice<'c> {
    /// By index of the check.
    pub(super) parts: Vec<Option<Part<'c>>>,
    /// For each condition its checks; none for those that are not looked up.
    pub(super) checks: Vec<Box<[u32]>>,
    /// What looking costs on each event, in nanoseconds.
    pub(super) cost: f32,
}

/// How a node is looked up.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// By its check.
    Check(u32),
    /// By this child.
    Child(u32),
    /// By all of its children.
    Children,
}

#[derive(Debug)]
struct Slots<'c> {
    by_text: HashMap<&'c str, u32>,
    /// How many conditions have a check of the slot.
    uses: Vec<usize>,
    left_out: Vec<bool>,
}

/// Chooses for conditions, given as the nodes that decide them.
pub(super) fn choose<'c>(residuals: &'c Residuals, roots: &[u32]) -> Choice<'c> {
    let shapes: Vec<&Shape> = residuals.shapes().collect();
    let uses = uses(&shapes, roots);
    let mut slots = Slots {
        by_text: HashMap::new(),
        uses: Vec::new(),
        left_out: Vec::new(),
    };
    let mut parts: Vec<Option<Part<'c>>> = Vec::new();
    let mut counted: Vec<usize> = Vec::new();
    for (shape, uses) in shapes.iter().zip(&uses) {
        let Shape::Test {
            check,
            negated: false,
        } = shape
        else {
            continue;
        };
        let index = *check as usize;
        if parts.len() <= index {
            parts.resize_with(index + 1, || None);
            counted.resize(index + 1, 0);
        }
        if *uses > 0 {
            parts[index] = slots.part(residuals, *check, *uses);
            counted[index] = *uses;
        }
    }
    rarities(&mut parts, &counted, &slots);
    let mut checks = Vec::new();
    // Slots that too few conditions share are left out, the loneliest first: their conditions may find another.
    for fewest in [2, FEWEST / 2, FEWEST, FEWEST, FEWEST, 0] {
        let ways = ways(&shapes, &parts, &slots);
        checks = roots
            .iter()
            .map(|root| looked_up_by(*root, &shapes, &ways))
            .collect();
        let mut sharing = vec![0; slots.uses.len()];
        for of_one in &checks {
            let mut seen: Vec<u32> = of_one
                .iter()
                .filter_map(|check| Some(parts[*check as usize].as_ref()?.slot))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            seen.iter().for_each(|slot| sharing[*slot as usize] += 1);
        }
        let mut changed = false;
        for (left_out, sharing) in slots.left_out.iter_mut().zip(&sharing) {
            if !*left_out && *sharing < fewest {
                (*left_out, changed) = (true, true);
            }
        }
        if !changed && fewest == FEWEST {
            break;
        }
    }
    let cost = cost(residuals, &parts, &checks);
    Choice { parts, checks, cost }
}

/// How many conditions reach each node without a negation; one that reaches it twice may count twice.
fn uses(shapes: &[&Shape], roots: &[u32]) -> Vec<usize> {
    let mut uses = vec![0usize; shapes.len()];
    for root in roots {
        uses[*root as usize] += 1;
    }
    // Children come before their parents.
    for (index, shape) in shapes.iter().enumerate().rev() {
        if let Shape::All(children) | Shape::Any(children) = shape {
            for child in children {
                uses[*child as usize] = uses[*child as usize].saturating_add(uses[index]);
            }
        }
    }
    uses
}

impl<'c> Slots<'c> {
    fn part(&mut self, residuals: &'c Residuals, check: u32, uses: usize) -> Option<Part<'c>> {
        let node = residuals.check(check);
        let atoms = atoms_of(node)?;
        let next = self.uses.len() as u32;
        let slot = *self.by_text.entry(&node.left_text).or_insert(next);
        if slot == next {
            self.uses.push(0);
            self.left_out.push(false);
        }
        self.uses[slot as usize] += uses;
        let looks = match &atoms {
            Atoms::InSet => 8.0,
            Atoms::OneOf(atoms) => atoms.first().map_or(1.0, |atom| looking(atom.kind)),
        };
        let values = if node.how == How::One { 1.0 } else { 4.0 };
        Some(Part {
            slot,
            atoms,
            passes: residuals.check_odds(check).passes,
            cost: values * (odds::reading(&node.left) + looks),
        })
    }
}

/// Nanoseconds to look for atoms of a kind in a value.
fn looking(kind: Kind) -> f32 {
    match kind {
        Kind::Equals => 6.0,
        Kind::Begins | Kind::Ends => 15.0,
        Kind::BeginsPath => 25.0,
        Kind::Contains => 50.0,
    }
}

/// Lowers the estimates of checks whose atoms few others have: of the conditions that look at a value, at most those pass
/// together whose constant it is.
fn rarities(parts: &mut [Option<Part<'_>>], uses: &[usize], slots: &Slots<'_>) {
    let mut having: QuickMap<(u32, Kind, Cow<'_, [u8]>), usize> = QuickMap::default();
    for (part, uses) in parts.iter().zip(uses) {
        if let Some(Part {
            slot,
            atoms: Atoms::OneOf(atoms),
            ..
        }) = part
        {
            for atom in atoms.iter().take(SAMPLE) {
                *having.entry((*slot, atom.kind, atom.text.clone())).or_default() += uses;
            }
        }
    }
    let shares: Vec<f32> = parts
        .iter()
        .zip(uses)
        .map(|(part, uses)| {
            let Some(part) = part else { return 1.0 };
            let most = match &part.atoms {
                Atoms::InSet => *uses,
                Atoms::OneOf(atoms) => atoms
                    .iter()
                    .take(SAMPLE)
                    .filter_map(|atom| having.get(&(part.slot, atom.kind, atom.text.clone())))
                    .max()
                    .copied()
                    .unwrap_or(0),
            };
            most as f32 / slots.uses[part.slot as usize].max(1) as f32
        })
        .collect();
    for (part, share) in parts.iter_mut().zip(shares) {
        if let Some(part) = part {
            part.passes *= share.min(1.0);
            part.cost /= slots.uses[part.slot as usize].max(1) as f32;
        }
    }
}

/// How each node is best looked up, if it can be.
fn ways(shapes: &[&Shape], parts: &[Option<Part<'_>>], slots: &Slots<'_>) -> Vec<Option<Way>> {
    #[derive(Clone, Copy)]
    struct Estimate {
        passes: f32,
        cost: f32,
    }
    let rank = |estimate: &Estimate| estimate.passes * FALSE_ALARM + estimate.cost;
    let mut estimates: Vec<Option<Estimate>> = Vec::with_capacity(shapes.len());
    let mut ways = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let found = match shape {
            Shape::Test { negated: true, .. } => None,
            Shape::Test { check, .. } => parts
                .get(*check as usize)
                .and_then(Option::as_ref)
                .filter(|part| !slots.left_out[part.slot as usize])
                .map(|part| {
                    let (passes, cost) = (part.passes, part.cost);
                    (Estimate { passes, cost }, Way::Check(*check))
                }),
            Shape::All(children) => children
                .iter()
                .filter_map(|child| Some((estimates[*child as usize]?, Way::Child(*child))))
                .min_by(|(a, _), (b, _)| rank(a).total_cmp(&rank(b))),
            Shape::Any(children) => children
                .iter()
                .map(|child| estimates[*child as usize])
                .try_fold((0.0, 0.0), |(passes, cost), child| {
                    let child = child?;
                    Some((passes + child.passes, cost + child.cost))
                })
                .map(|(passes, cost)| (Estimate { passes, cost }, Way::Children)),
        };
        let found = found.filter(|(estimate, _)| estimate.passes < COMMON);
        estimates.push(found.map(|(estimate, _)| estimate));
        ways.push(found.map(|(_, way)| way));
    }
    ways
}

/// The checks by which a node is looked up; none when it is not.
fn looked_up_by(root: u32, shapes: &[&Shape], ways: &[Option<Way>]) -> Box<[u32]> {
    let mut checks = Vec::new();
    let mut left = vec![root];
    let mut seen = HashSet::new();
    while let Some(node) = left.pop() {
        match (ways[node as usize], shapes[node as usize]) {
            (Some(Way::Check(check)), _) => checks.push(check),
            (Some(Way::Child(child)), _) => left.push(child),
            // Nodes are shared: a disjunction that is met again has been followed.
            (Some(Way::Children), Shape::Any(children)) if seen.insert(node) => left.extend(children),
            _ => {}
        }
    }
    checks.sort_unstable();
    checks.dedup();
    checks.into()
}

/// What the slots that are used cost on each event: for each the dearest of its kinds of look-ups.
fn cost(residuals: &Residuals, parts: &[Option<Part<'_>>], checks: &[Box<[u32]>]) -> f32 {
    let mut slots: HashMap<(u32, Option<Kind>), f32> = HashMap::new();
    for check in checks.iter().flatten() {
        let Some(part) = &parts[*check as usize] else {
            continue;
        };
        let node = residuals.check(*check);
        let values = if node.how == How::One { 1.0 } else { 4.0 };
        slots.insert((part.slot, None), values * odds::reading(&node.left));
        match &part.atoms {
            Atoms::InSet => *slots.entry((part.slot, Some(Kind::Equals))).or_default() += values * 6.0,
            Atoms::OneOf(atoms) => atoms.iter().take(SAMPLE).for_each(|atom| {
                slots.insert((part.slot, Some(atom.kind)), values * looking(atom.kind));
            }),
        }
    }
    slots.values().sum()
}
