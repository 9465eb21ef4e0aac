//! The page's pictures: how many rollouts took how many turns, tokens and seconds, by how they ended.

use sbx_records::{ExitStatus, Rollout};
use serde::Serialize;

/// Bars of a picture.
const BINS: usize = 24;
/// Height of a picture, in its own units.
const HEIGHT: f64 = 100.0;

/// What the pictures are drawn from: four numbers a rollout.
#[derive(Default)]
pub(crate) struct Points(Vec<Point>);

struct Point {
    status: usize,
    turns: f64,
    tokens: f64,
    seconds: f64,
}

/// A picture: bars of stacked pieces.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Plot {
    title: &'static str,
    /// What the left and the right edge stand for.
    from: String,
    to: String,
    /// Rollouts of the highest bar.
    most: usize,
    pieces: Vec<Piece>,
}

/// A rectangle.
#[derive(Debug, PartialEq, Serialize)]
struct Piece {
    x: usize,
    y: f64,
    height: f64,
    status: &'static str,
    /// What is shown when it is pointed at.
    says: String,
}

const STATUS: [&str; 4] = ["submitted", "incomplete", "errored", "other"];

impl Points {
    pub(crate) fn add(&mut self, rollout: &Rollout) {
        let status = match rollout.exit_status {
            ExitStatus::Submitted => 0,
            ExitStatus::Incomplete => 1,
            ExitStatus::Errored => 2,
            ExitStatus::Other => 3,
        };
        let (turns, tokens) = (rollout.n_turns as f64, rollout.completion_tokens as f64);
        self.0.push(Point { status, turns, tokens, seconds: rollout.duration_sec });
    }

    /// The pictures.
    pub(crate) fn plots(&self) -> Vec<Plot> {
        vec![
            self.plot("turns", |p| p.turns),
            self.plot("completion tokens", |p| p.tokens),
            self.plot("seconds", |p| p.seconds),
        ]
    }

    fn plot(&self, title: &'static str, of: impl Fn(&Point) -> f64) -> Plot {
        let values = || self.0.iter().map(&of).filter(|v| v.is_finite());
        let most = values().fold(0.0, f64::max);
        // Whole numbers get whole bars.
        let width = if most < BINS as f64 { 1.0 } else { (most + 1.0) / BINS as f64 };
        let mut bins = [[0usize; 4]; BINS];
        for point in &self.0 {
            let bin = (of(point).max(0.0) / width) as usize;
            bins[bin.min(BINS - 1)][point.status] += 1;
        }
        let highest = bins.iter().map(|b| b.iter().sum::<usize>()).max().unwrap_or(0).max(1);
        let mut pieces = Vec::new();
        for (x, bin) in bins.iter().enumerate() {
            let mut y = HEIGHT;
            for (count, status) in bin.iter().zip(STATUS).filter(|(count, _)| **count > 0) {
                let height = HEIGHT * *count as f64 / highest as f64;
                y -= height;
                let (from, to) = (width * x as f64, width * (x + 1) as f64);
                let says = format!("{count} {status}: {from:.0} to {to:.0} {title}");
                pieces.push(Piece { x, y, height, status, says });
            }
        }
        Plot { title, from: "0".into(), to: format!("{:.0}", width * BINS as f64), most: highest, pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_the_rollouts_they_stand_for() {
        let mut points = Points::default();
        for (turns, status) in
            [(3, ExitStatus::Submitted), (3, ExitStatus::Incomplete), (7, ExitStatus::Submitted)]
        {
            points.add(&Rollout { n_turns: turns, exit_status: status, ..Rollout::default() });
        }
        let plot = &points.plots()[0];
        assert_eq!((plot.most, plot.pieces.len(), plot.to.as_str()), (2, 3, "24"));
        let at = |x: usize| plot.pieces.iter().filter(|p| p.x == x).map(|p| p.height).sum::<f64>();
        assert_eq!((at(3), at(7), at(0)), (100.0, 50.0, 0.0));
        assert_eq!(plot.pieces[0].says, "1 submitted: 3 to 4 turns");
        assert!(Points::default().plots().iter().all(|p| p.pieces.is_empty()));
    }

    #[test]
    fn odd_numbers_stay_in_the_picture() {
        let mut points = Points::default();
        for seconds in [-1.0, f64::NAN, f64::INFINITY, 1e12] {
            points.add(&Rollout { duration_sec: seconds, ..Rollout::default() });
        }
        assert!(points.plots()[2].pieces.iter().all(|p| p.x < BINS && (0.0..=HEIGHT).contains(&p.y)));
    }
}
