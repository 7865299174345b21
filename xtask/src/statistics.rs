//! Figures that can be trusted from a machine that swings: many short slices, of which the low ones count.
//!
//! What disturbs a slice (another guest on the host, a timer, a neighbour in the cache) makes it longer and never
//! shorter, so that their lower quartile repeats where their median does not. What is added is taken within a round,
//! whose parts lie within seconds of each other, so that slow drifts cancel.

use std::fmt;

/// The value that this share of the values, from 0 to 1, lies below: between two of them in proportion. NaN for none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}

/// The value that a quarter of them lies below.
pub fn lower_quartile(values: &[f64]) -> f64 {
    quantile(values, 0.25)
}

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// How far values lie apart: a quarter of them is below the first, half below the second, three quarters below the
/// third.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quartiles(pub [f64; 3]);

impl Quartiles {
    /// Those of `values`.
    pub fn of(values: &[f64]) -> Quartiles {
        Quartiles([0.25, 0.5, 0.75].map(|share| quantile(values, share)))
    }
}

impl fmt::Display for Quartiles {
    /// With as many decimals as asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lower, median, upper] = self.0;
        let decimals = f.precision().unwrap_or(0);
        write!(f, "{lower:.decimals$} / {median:.decimals$} / {upper:.decimals$}")
    }
}

/// Slices of one round: with an observer, and without one right before and right after (or on one side only).
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Without an observer: one list of slices for each time.
    pub bare: Vec<Vec<f64>>,
    /// With the observer, in lists as long: of few slices the lower quartile is nearer to the middle than of many.
    pub watched: Vec<Vec<f64>>,
}

impl Round {
    /// What the observer added to a slice: the difference of the values that this share lies below, each the mean of its
    /// lists.
    fn added(&self, share: f64) -> f64 {
        let of = |lists: &[Vec<f64>]| {
            let all: f64 = lists.iter().map(|list| quantile(list, share)).sum();
            all / lists.len() as f64
        };
        of(&self.watched) - of(&self.bare)
    }
}

/// What was added, over all rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Added {
    /// The median over the rounds.
    pub all: f64,
    /// Those of every other round alone: they are as far apart as the figure may be wrong.
    pub halves: [f64; 2],
}

impl Added {
    /// To the lower quartiles of the rounds, in their order.
    pub fn over(rounds: &[Round]) -> Added {
        Added::at(rounds, 0.25)
    }

    /// To the values that this share of the slices of a round lies below.
    pub fn at(rounds: &[Round], share: f64) -> Added {
        let each: Vec<f64> = rounds.iter().map(|round| round.added(share)).collect();
        let half = |first: usize| median(&each.iter().copied().skip(first).step_by(2).collect::<Vec<_>>());
        Added {
            all: median(&each),
            halves: [half(0), half(1)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test_log::test]
    fn a_quantile_lies_between_two_values_in_proportion() {
        let values = [40.0, 10.0, 30.0, 20.0, 50.0];
        for (share, expected) in [(0.0, 10.0), (0.25, 20.0), (0.5, 30.0), (0.75, 40.0), (1.0, 50.0)] {
            assert_eq!(quantile(&values, share), expected);
        }
        assert_eq!(quantile(&values[..4], 0.5), 25.0);
        assert_eq!(quantile(&values[..4], 0.25), 17.5);
        assert_eq!(quantile(&[7.0], 0.25), 7.0);
        assert!(quantile(&[], 0.25).is_nan());
        assert_eq!(format!("{:.1}", Quartiles::of(&values)), "20.0 / 30.0 / 40.0");
    }

    /// Slices of `base`, most of which something disturbed, differently by `seed`.
    fn disturbed(base: f64, seed: usize) -> Vec<f64> {
        (0..20)
            .map(|slice| match (slice * 7 + seed * 3) % 5 {
                0 | 2 => base * 1.3,
                1 => base * (2.0 + seed as f64),
                _ => base,
            })
            .collect()
    }

    #[test_log::test]
    fn what_disturbs_less_than_three_quarters_of_the_slices_is_not_added() {
        let round = |seed| Round {
            bare: vec![disturbed(600.0, seed), disturbed(600.0, seed + 1)],
            watched: vec![disturbed(650.0, seed + 2)],
        };
        let rounds: Vec<_> = (0..8).map(round).collect();
        for round in &rounds {
            assert_eq!(round.added(0.25), 50.0);
        }
        assert_eq!(
            Added::over(&rounds),
            Added {
                all: 50.0,
                halves: [50.0; 2]
            }
        );
    }

    #[test_log::test]
    fn a_machine_that_becomes_slower_adds_nothing() {
        // Evenly over the three parts of a round, and from round to round.
        let round = |n: f64| Round {
            bare: vec![vec![100.0 + n; 4], vec![120.0 + n; 4]],
            watched: vec![vec![113.0 + n; 4]],
        };
        let added = Added::over(&[round(0.0), round(500.0), round(1000.0)]);
        assert_eq!(added.all, 3.0);
    }

    #[test_log::test]
    fn an_observer_that_adds_nothing_adds_nothing_however_few_the_slices() {
        let (odd, even) = ([1.0, 3.0, 5.0, 7.0, 9.0], [2.0, 4.0, 6.0, 8.0, 10.0]);
        let lists = vec![odd.to_vec(), even.to_vec()];
        let round = Round {
            bare: lists.clone(),
            watched: lists.clone(),
        };
        for share in [0.25, 0.5, 0.75] {
            assert_eq!(Added::at(std::slice::from_ref(&round), share).all, 0.0);
        }
        // All in one list they would take something away.
        let one = Round {
            watched: vec![lists.concat()],
            ..round
        };
        assert_eq!(Added::over(&[one]).all, -0.25);
    }

    #[test_log::test]
    fn the_halves_tell_of_a_figure_that_does_not_repeat() {
        let round = |more: f64| Round {
            bare: vec![vec![10.0; 4]],
            watched: vec![vec![10.0 + more; 4]],
        };
        let added = Added::over(&[1.0, 5.0, 1.0, 5.0, 1.0].map(round));
        assert_eq!((added.all, added.halves), (1.0, [1.0, 5.0]));
    }
}
