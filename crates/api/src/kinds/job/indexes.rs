//! Completion indexes as statuses and policies write them: `1,3-5,7`. Main type: [`Indexes`].
//! Spec: `completedIndexes` of <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobStatus>.

use std::fmt;

use crate::gotext::quote;

/// Indexes of a Job, as ranges in order that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(Vec<(i64, i64)>);

impl Indexes {
    /// What can be read of a text, below a number of completions: parts that are damaged are left out.
    #[must_use]
    pub fn read(text: &str, completions: i64) -> Self {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse::<i64>().ok()?, last.parse::<i64>().ok()?))
        };
        let ranges = text.split(',').filter_map(range).take_while(|(first, _)| *first < completions);
        ranges.map(|(first, last)| (first, last.min(completions - 1))).collect()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, index: i64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    /// How many.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and others.
    #[must_use]
    pub fn with(&self, others: impl IntoIterator<Item = i64>) -> Self {
        self.ranges().chain(others.into_iter().map(|one| (one, one))).collect()
    }

    /// These and those.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        self.ranges().chain(others.ranges()).collect()
    }

    /// How many of them are among others.
    #[must_use]
    pub fn common(&self, others: &Self) -> i64 {
        let overlap = |one: (i64, i64)| others.ranges().map(move |other| one.1.min(other.1) - one.0.max(other.0) + 1);
        self.ranges().flat_map(overlap).filter(|count| *count > 0).sum()
    }

    /// The first of those from 0 to below a number that are not among them.
    pub fn missing(&self, completions: i64) -> impl Iterator<Item = i64> {
        let starts = std::iter::once(0).chain(self.ranges().map(|(_, last)| last + 1));
        let ends = self.ranges().map(|(first, _)| first).chain(std::iter::once(completions));
        starts.zip(ends).flat_map(move |(start, end)| start..end.min(completions))
    }

    fn ranges(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }
}

impl FromIterator<(i64, i64)> for Indexes {
    fn from_iter<I: IntoIterator<Item = (i64, i64)>>(ranges: I) -> Self {
        let mut all: Vec<(i64, i64)> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        all.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match merged.last_mut().filter(|before| first <= before.1 + 1) {
                Some(before) => before.1 = before.1.max(last),
                None => merged.push((first, last)),
            }
        }
        Self(merged)
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// Reads indexes strictly; how many there are.
///
/// # Errors
/// What is wrong, in upstream's words.
pub(super) fn check(text: &str, completions: i64) -> Result<i64, String> {
    let (mut before, mut total) = (None, 0);
    if text.is_empty() {
        return Ok(0);
    }
    for part in text.split(',') {
        let (first, last) = range(part, completions)?;
        if let Some(before) = before.filter(|before| *before >= first) {
            return Err(format!("non-increasing order, previous: {before}, current: {first}"));
        }
        total += last - first + 1;
        before = Some(last);
    }
    Ok(total)
}

/// The first index that is in both; parts that are damaged are told elsewhere.
pub(super) fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let read =
        |text: &str| -> Vec<(i64, i64)> { text.split(',').filter_map(|part| range(part, completions).ok()).collect() };
    let failed = read(failed);
    let common = |one: (i64, i64)| {
        failed.iter().filter(move |other| one.0 <= other.1 && other.0 <= one.1).map(move |other| one.0.max(other.0))
    };
    read(completed).into_iter().flat_map(common).next()
}

fn range(part: &str, completions: i64) -> Result<(i64, i64), String> {
    let ends: Vec<&str> = part.split('-').collect();
    let index = |text: &str| {
        let index: i64 =
            text.parse().map_err(|_| format!("cannot convert string to integer for index: {}", quote(text)))?;
        if index >= completions { Err(format!("too large index: {}", quote(text))) } else { Ok(index) }
    };
    match ends[..] {
        [one] => index(one).map(|one| (one, one)),
        [one, other] => {
            let (first, last) = (index(one)?, index(other)?);
            if first >= last {
                return Err(format!("non-increasing order, previous: {first}, current: {last}"));
            }
            Ok((first, last))
        }
        _ => Err(format!(
            "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
            quote(part)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_and_written_as_ranges() {
        let check = |text: &str, completions, expect: &str, total| {
            let read = Indexes::read(text, completions);
            assert_eq!((read.to_string().as_str(), read.total()), (expect, total), "{text}");
        };
        check("", 5, "", 0);
        check("0", 5, "0", 1);
        check("0,1", 5, "0,1", 2);
        check("0,1,2,4", 5, "0-2,4", 4);
        check("0-9", 5, "0-4", 5);
        check("0,7", 5, "0", 1);
        check("x,2-y,3", 5, "3", 1);
    }

    #[test]
    fn sets_of_indexes_are_compared() {
        let some = Indexes::read("1,3-5", 9);
        assert_eq!([0, 1, 2, 3, 5, 6].map(|one| some.has(one)), [false, true, false, true, true, false]);
        assert_eq!(some.with([0, 2]).to_string(), "0-5");
        assert_eq!(some.and(&Indexes::read("6,8", 9)).to_string(), "1,3-6,8");
        assert_eq!(some.common(&Indexes::read("0-3,5", 9)), 3);
        assert_eq!(some.missing(9).collect::<Vec<_>>(), [0, 2, 6, 7, 8]);
        assert_eq!(some.missing(3).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(Indexes::default().missing(2).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn strangers_indexes_are_checked() {
        let tell = |text: &str, expect: Result<i64, &str>| {
            assert_eq!(check(text, 10), expect.map_err(str::to_owned), "{text}");
        };
        tell("", Ok(0));
        tell("1,3-5,9", Ok(5));
        tell("3,1", Err("non-increasing order, previous: 3, current: 1"));
        tell("5-3", Err("non-increasing order, previous: 5, current: 3"));
        tell("1,10", Err("too large index: \"10\""));
        tell("a", Err("cannot convert string to integer for index: \"a\""));
        let why = "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'";
        tell("1-2-3", Err(why));
        assert_eq!(overlap("0-3,7", "4,6-8", 10), Some(7));
        assert_eq!(overlap("0-3", "4", 10), None);
    }
}
