//! Joining what was found in each segment: the chain of segments, streams and the clock across
//! them.

use super::VerifyReport;
use super::events::{StreamState, check_clock};
use super::faults::{FaultKind, Faults};
use super::segment::SegmentFindings;
use crate::log::Reader;
use crate::model::{Hash, Hlc, Sequence};
use crate::storage::Storage;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use hashbrown::HashMap;

/// See the module. Findings may come in any order; they are joined in that of the segments.
#[derive(Debug)]
pub struct VerifyMerge {
    segments: usize,
    /// The segment that comes next.
    next: usize,
    waiting: BTreeMap<usize, SegmentFindings>,
    /// What the segments so far leave to the next one; `None` behind one that is not sealed.
    end: Option<(Sequence, Hash)>,
    hlc: Option<Hlc>,
    streams: HashMap<u128, StreamState>,
    /// Whether events may be missing from what was joined.
    damaged: bool,
    stopped: bool,
    faults: Faults,
    report: VerifyReport,
}

impl VerifyMerge {
    /// For the segments that a reader sees.
    #[must_use]
    pub fn new<S: Storage>(reader: &Reader<S>) -> Self {
        VerifyMerge {
            segments: reader.segment_count(),
            next: 0,
            waiting: BTreeMap::new(),
            end: Some((Sequence::ZERO, Hash::ZERO)),
            hlc: None,
            streams: HashMap::new(),
            damaged: false,
            stopped: false,
            faults: Faults::default(),
            report: VerifyReport::default(),
        }
    }

    /// How many segments were joined: all before this place. Findings of later ones wait.
    #[must_use]
    pub const fn joined_count(&self) -> usize {
        self.next
    }

    /// Notes that not all was looked at because somebody said stop.
    pub const fn stop(&mut self) {
        self.stopped = true;
    }

    /// Takes in what was found in a segment.
    pub fn add(&mut self, findings: SegmentFindings) {
        self.stopped |= findings.stopped;
        self.waiting.insert(findings.at, findings);
        while let Some(findings) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.join(findings);
        }
    }

    /// Whether the verification of a segment was stopped.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What was found in all of them.
    #[must_use]
    pub fn finish(mut self) -> VerifyReport {
        let all = self.next == self.segments;
        for (_, findings) in core::mem::take(&mut self.waiting) {
            self.damaged = true;
            self.end = None;
            self.join(findings);
        }
        self.report.complete = all && !self.stopped && !self.faults.has(FaultKind::Unreadable);
        self.report.streams = self.streams.len() as u64;
        self.report.faults = self.faults.into_vec();
        self.report
    }

    fn join(&mut self, findings: SegmentFindings) {
        let report = &mut self.report;
        report.segments += 1;
        report.bytes += findings.bytes;
        report.events += findings.events;
        report.erased_events += findings.erased_events;
        report.pruned_runs += findings.pruned_runs;
        let mut faults = findings.faults;
        let (file, damaged) = (findings.file, self.damaged || findings.damaged);
        if let Some((sequence, chain_hash)) = self.end {
            if findings.base_sequence != sequence {
                let expected = alloc::format!("a segment from sequence {sequence} on");
                let found = findings.base_sequence.to_string();
                faults.add(FaultKind::Sequence, file, 40, expected, found);
            }
            if findings.prev_chain_hash != chain_hash {
                let expected = alloc::format!("the chain hash {chain_hash} of the segment before");
                let found = findings.prev_chain_hash.to_string();
                faults.add(FaultKind::SegmentChain, file, 64, expected, found);
            }
        }
        let mut joints = Faults::default();
        if let Some((hlc, offset)) = findings.first_hlc {
            check_clock(self.hlc, hlc, file, offset, &mut joints);
        }
        for part in findings.streams {
            let before = self.streams.get(&part.key);
            part.first.check(before, damaged, file, &mut joints);
            self.streams.insert(part.key, part.last);
        }
        faults.append(joints);
        self.faults.append(faults);
        self.hlc = findings.last_hlc.or(self.hlc);
        self.end = findings.end;
        self.damaged = damaged || findings.stopped;
    }
}
