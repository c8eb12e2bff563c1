//! Known failures.  A list may only shrink: a case that is listed and passes fails the run.
//!
//! ```text
//! # tier  case            reason
//! tail    float.ir:120    rounds twice
//! ```

use crate::run::Report;
use std::collections::BTreeMap;

/// A list of known failures, by tier and case.
#[derive(Clone, Default, Debug)]
pub struct Known {
    rows: BTreeMap<(String, String), String>,
}

impl Known {
    /// Reads a list.
    ///
    /// # Errors
    /// Line and reason.
    pub fn read(text: &str) -> Result<Known, String> {
        let mut rows = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.splitn(2, char::is_whitespace);
            let (tier, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim());
            let Some((case, reason)) = rest.split_once(char::is_whitespace) else {
                return Err(format!("line {}: expected tier, case, reason", i + 1));
            };
            if rows.insert((tier.to_owned(), case.to_owned()), reason.trim().to_owned()).is_some() {
                return Err(format!("line {}: twice", i + 1));
            }
        }
        Ok(Known { rows })
    }

    /// What is wrong with a run: unexpected failures, unexpected passes, lines that name nothing that ran.
    #[must_use]
    pub fn judge(&self, reports: &[Report]) -> Vec<String> {
        let mut left: BTreeMap<_, _> = self.rows.iter().collect();
        let mut wrong = Vec::new();
        for report in reports {
            let key = (report.tier.to_owned(), report.case.clone());
            match (left.remove(&key), report.wrong.is_empty()) {
                (None, false) => wrong.push(format!("{} on {}: {}", report.case, report.tier, report.wrong.join("; "))),
                (Some(reason), true) => {
                    let text = format!("{} on {} passes: take it off the list ({reason})", report.case, report.tier);
                    wrong.push(text);
                }
                _ => {}
            }
        }
        wrong.extend(left.keys().map(|(tier, case)| format!("{case} on {tier} is listed, but did not run")));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tier: &'static str, case: &str, wrong: &[&str]) -> Report {
        Report { tier, case: case.into(), wrong: wrong.iter().map(|w| (*w).to_owned()).collect() }
    }

    #[test]
    fn lists_are_exact() {
        let known = Known::read("# a comment\n\ntail  a.ir:3   rounds twice\n").unwrap();
        assert!(known.judge(&[report("tail", "a.ir:3", &["x"]), report("eval", "a.ir:3", &[])]).is_empty());
        assert_eq!(known.judge(&[report("tail", "a.ir:3", &[])]).len(), 1, "an unexpected pass");
        assert_eq!(known.judge(&[]).len(), 1, "a line that names nothing");
        let failed = [report("tail", "a.ir:3", &["x"]), report("eval", "a.ir:3", &["y"])];
        assert_eq!(known.judge(&failed), ["a.ir:3 on eval: y"]);
        assert!(Known::read("tail a.ir:3").is_err() && Known::read("tail").is_err());
        assert!(Known::read("tail a b\ntail a c").is_err());
    }
}
