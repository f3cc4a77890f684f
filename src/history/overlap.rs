//! What of a stretch of time is stored already: none, a part at its start or its end, all but a gap, or all of it.
//! Pure. So nothing is fetched or stored twice.

/// A stretch of time in milliseconds since the Unix epoch, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its first moment.
    pub from: i64,
    /// Its last moment.
    pub to: i64,
}

/// How far a stored chunk reaches: where it was to end, and where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Of its first sample.
    pub starts: i64,
    /// Where it was to end; none when nobody knew.
    pub planned: Option<i64>,
    /// Of its last sample; none when nobody wrote it down.
    pub ends: Option<i64>,
}

impl Extent {
    /// What the chunk covers. Where it does end counts, whatever was planned: a collection that broke off early has
    /// not stored the rest, and one that went on has. Without either only its start is certain. One that ends
    /// before it starts is damaged and covers nothing.
    #[must_use]
    pub fn span(self) -> Option<Span> {
        let to = self.ends.or(self.planned).unwrap_or(self.starts);
        (to >= self.starts).then_some(Span {
            from: self.starts,
            to,
        })
    }
}

/// How a stretch of time and what is stored lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Nothing of it is stored.
    None,
    /// Its beginning is stored, its end is not.
    Start,
    /// Its end is stored, its beginning is not.
    End,
    /// Both ends are stored, and something between them is not.
    InnerGap,
    /// Something inside is stored, and neither end.
    Inside,
    /// All of it is stored.
    Complete,
}

/// What is stored of a stretch, and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// How the two lie.
    pub overlap: Overlap,
    /// What is not stored, in order.
    pub missing: Vec<Span>,
}

/// Judges `asked` by the chunks that are stored, in any order. Chunks no further apart than `step`, the distance of
/// samples, follow one another without a gap.
#[must_use]
pub fn judge(asked: Span, stored: &[Extent], step: i64) -> Judged {
    let missing = missing(asked, stored.iter().filter_map(|e| e.span()), step);
    let total = Span {
        from: asked.from,
        to: asked.to.max(asked.from),
    };
    let is_missing = |at: i64| missing.iter().any(|m| m.from <= at && at <= m.to);
    let overlap = match (is_missing(total.from), is_missing(total.to)) {
        _ if missing.is_empty() => Overlap::Complete,
        _ if missing == [total] => Overlap::None,
        (false, false) => Overlap::InnerGap,
        (false, true) => Overlap::Start,
        (true, false) => Overlap::End,
        (true, true) => Overlap::Inside,
    };
    Judged { overlap, missing }
}

/// What of `asked` none of `stored` covers, in order.
pub fn missing(asked: Span, stored: impl Iterator<Item = Span>, step: i64) -> Vec<Span> {
    let mut spans: Vec<Span> = stored
        .filter(|s| s.to >= asked.from && s.from <= asked.to)
        .collect();
    spans.sort_unstable();
    let (mut gaps, mut next) = (Vec::new(), asked.from);
    for span in spans {
        let is_gap = span.from.saturating_sub(next) > step.max(0);
        // Before the first chunk there is no sample to be one step away from.
        if is_gap || (next == asked.from && span.from > next) {
            gaps.push(Span {
                from: next,
                to: span.from - 1,
            });
        }
        next = next.max(span.to.saturating_add(1));
    }
    if next <= asked.to.max(asked.from) {
        gaps.push(Span {
            from: next,
            to: asked.to.max(asked.from),
        });
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64) -> Span {
        Span { from, to }
    }

    fn whole(starts: i64, ends: i64) -> Extent {
        Extent {
            starts,
            planned: Some(ends),
            ends: Some(ends),
        }
    }

    #[test]
    fn every_way_two_stretches_can_lie_is_named() {
        let asked = span(100, 199);
        for (stored, overlap, missing) in [
            (vec![], Overlap::None, vec![span(100, 199)]),
            (
                vec![whole(0, 99), whole(200, 300)],
                Overlap::None,
                vec![span(100, 199)],
            ),
            (vec![whole(50, 149)], Overlap::Start, vec![span(150, 199)]),
            (vec![whole(100, 100)], Overlap::Start, vec![span(101, 199)]),
            (vec![whole(150, 250)], Overlap::End, vec![span(100, 149)]),
            (vec![whole(199, 199)], Overlap::End, vec![span(100, 198)]),
            (
                vec![whole(90, 120), whole(180, 220)],
                Overlap::InnerGap,
                vec![span(121, 179)],
            ),
            (
                vec![whole(120, 150)],
                Overlap::Inside,
                vec![span(100, 119), span(151, 199)],
            ),
            (vec![whole(100, 199)], Overlap::Complete, vec![]),
            (vec![whole(0, 1_000)], Overlap::Complete, vec![]),
            // In pieces, in the wrong order, one inside another.
            (
                vec![whole(150, 199), whole(90, 149)],
                Overlap::Complete,
                vec![],
            ),
            (
                vec![whole(100, 199), whole(120, 130)],
                Overlap::Complete,
                vec![],
            ),
        ] {
            let judged = judge(asked, &stored, 1);
            assert_eq!(
                (judged.overlap, judged.missing),
                (overlap, missing),
                "{stored:?}"
            );
        }
    }

    #[test]
    fn ends_that_are_missing_disagree_or_are_wrong_are_read_with_care() {
        let asked = span(100, 199);
        for (what, planned, ends, overlap) in [
            ("both agree", Some(199), Some(199), Overlap::Complete),
            (
                "no real end: the plan holds",
                Some(199),
                None,
                Overlap::Complete,
            ),
            (
                "no plan: the real end holds",
                None,
                Some(199),
                Overlap::Complete,
            ),
            (
                "neither: only the start is certain",
                None,
                None,
                Overlap::Start,
            ),
            ("it broke off early", Some(199), Some(150), Overlap::Start),
            (
                "it went on for longer",
                Some(150),
                Some(199),
                Overlap::Complete,
            ),
            (
                "it ends before it starts",
                Some(199),
                Some(50),
                Overlap::None,
            ),
            (
                "it was to end before it starts",
                Some(50),
                None,
                Overlap::None,
            ),
            (
                "a wrong plan and a good end",
                Some(50),
                Some(199),
                Overlap::Complete,
            ),
        ] {
            let stored = Extent {
                starts: 100,
                planned,
                ends,
            };
            assert_eq!(judge(asked, &[stored], 1).overlap, overlap, "{what}");
        }
    }

    #[test]
    fn samples_a_step_apart_have_no_gap_between_them() {
        let stored = [whole(100, 140), whole(150, 199)];
        assert_eq!(
            judge(span(100, 199), &stored, 10).overlap,
            Overlap::Complete
        );
        assert_eq!(judge(span(100, 199), &stored, 5).overlap, Overlap::InnerGap);
    }

    #[test]
    fn a_stretch_that_ends_before_it_begins_is_one_moment() {
        assert_eq!(judge(span(100, 50), &[], 1).missing, [span(100, 100)]);
    }

    #[test]
    fn the_gaps_are_those_of_a_walk_over_every_moment() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..2_000 {
            let from = rng.i64(0..40);
            let asked = span(from, from + rng.i64(0..40));
            let stored: Vec<Span> = (0..rng.usize(0..6))
                .map(|_| {
                    let at = rng.i64(0..80);
                    span(at, at + rng.i64(0..15))
                })
                .collect();
            let covered = |t: i64| stored.iter().any(|s| s.from <= t && t <= s.to);
            let naive: Vec<i64> = (asked.from..=asked.to).filter(|t| !covered(*t)).collect();
            let got: Vec<i64> = missing(asked, stored.iter().copied(), 0)
                .into_iter()
                .flat_map(|gap| gap.from..=gap.to)
                .collect();
            assert_eq!(got, naive, "{asked:?} {stored:?}");
        }
    }
}
