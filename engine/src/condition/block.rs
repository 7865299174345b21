//! Up to 64 conditions that are evaluated together: their nodes in the order in which they are tried.

use super::quick_hash::QuickMap;
use super::residual::Residuals;

/// Conditions evaluated together: one bit each.
pub(super) const BLOCK: usize = 64;
/// What it costs to pass over a step, in nanoseconds.
const STEP: f32 = 0.5;
/// How many steps are ordered with care, which takes the square of their number.
const MOST_ORDERED: usize = 200;

/// A condition that can be true on the event.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) id: u32,
    /// Its place in the order of all.
    pub(super) place: u32,
    /// What has to hold.
    pub(super) nodes: Box<[u32]>,
    /// The node that is all of that, unless nothing has to.
    pub(super) root: Option<u32>,
}

/// Up to 64 conditions, in order.
#[derive(Debug)]
pub(super) struct Block {
    /// What the caller calls them.
    pub(super) ids: Box<[u32]>,
    /// Their places in the order of all.
    pub(super) places: Box<[u32]>,
    /// What all of them need.
    pub(super) steps: Box<[Step]>,
    /// What each of them needs, where few of them may have to be evaluated.
    pub(super) own: Box<[Box<[u32]>]>,
}

/// A node that has to hold for some conditions.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) node: u32,
    pub(super) needed_by: u64,
}

impl Block {
    pub(super) fn new(conditions: &[&Condition], residuals: &Residuals) -> Block {
        let mut needed_by: QuickMap<u32, u64> = QuickMap::default();
        for (index, condition) in conditions.iter().enumerate() {
            for node in &condition.nodes {
                *needed_by.entry(*node).or_default() |= 1 << index;
            }
        }
        let mut steps: Vec<Step> = needed_by
            .into_iter()
            .map(|(node, needed_by)| Step { node, needed_by })
            .collect();
        steps.sort_by(|a, b| {
            let rank = |step: &Step| residuals.odds(step.node).rank_to_fail();
            rank(a).total_cmp(&rank(b)).then(a.node.cmp(&b.node))
        });
        if steps.len() <= MOST_ORDERED {
            order(&mut steps, residuals);
        }
        Block {
            ids: conditions.iter().map(|condition| condition.id).collect(),
            places: conditions.iter().map(|condition| condition.place).collect(),
            steps: steps.into(),
            own: [].into(),
        }
    }

    /// The bits of all conditions.
    pub(super) fn every(&self) -> u64 {
        u64::MAX >> (BLOCK - self.ids.len())
    }

    /// What the steps are likely to cost together, in nanoseconds.
    pub(super) fn cost(&self, residuals: &Residuals) -> f32 {
        let mut left = [1.0f32; BLOCK];
        let mut sum = 0.0;
        for step in &self.steps {
            let expected: f32 = bits(step.needed_by).map(|condition| left[condition]).sum();
            let odds = residuals.odds(step.node);
            sum += STEP + expected.min(1.0) * odds.cost;
            bits(step.needed_by).for_each(|condition| left[condition] *= odds.passes);
        }
        sum
    }
}

/// Puts first what strikes out most for its cost, given what the steps before it are likely to have left.
fn order(steps: &mut [Step], residuals: &Residuals) {
    // How likely each condition is to be still there.
    let mut left = [1.0f32; BLOCK];
    for at in 0..steps.len() {
        let (mut best, mut best_score) = (at, 0.0);
        for (index, step) in steps.iter().enumerate().skip(at) {
            let expected: f32 = bits(step.needed_by).map(|condition| left[condition]).sum();
            // A step is only taken when a condition is left that needs it.
            let score = expected.max(1.0) / residuals.odds(step.node).rank_to_fail();
            if score > best_score {
                (best, best_score) = (index, score);
            }
        }
        // The others stay in their order.
        steps[at..=best].rotate_right(1);
        let passes = residuals.odds(steps[at].node).passes;
        bits(steps[at].needed_by).for_each(|condition| left[condition] *= passes);
    }
}

/// The indexes of the bits that are set.
pub(super) fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(index)
    })
}
