//! Background jobs: the states that clients see (QEMU QMP Reference Manual, "Background jobs"; a job's life is in the
//! documentation of `JobStatus` and `JobVerb`).

use super::command::{Class, Error};
use super::commands::job::{JobInfo, JobStatus, JobType};
use super::events::JobChanged;

/// What can be done to a job, and in which states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Give it up.
    Cancel,
    /// Hold it.
    Pause,
    /// Go on.
    Resume,
    /// Let it end.
    Complete,
    /// Make its result count.
    Finalize,
    /// Forget it.
    Dismiss,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Cancel => "cancel",
            Verb::Pause => "pause",
            Verb::Resume => "resume",
            Verb::Complete => "complete",
            Verb::Finalize => "finalize",
            Verb::Dismiss => "dismiss",
        }
    }

    fn allowed(self, status: JobStatus) -> bool {
        use JobStatus as S;
        let alive = [S::Created, S::Running, S::Paused, S::Ready, S::Standby];
        match self {
            Verb::Cancel => alive.contains(&status) || matches!(status, S::Waiting | S::Pending),
            Verb::Pause | Verb::Resume => alive.contains(&status),
            Verb::Complete => status == S::Ready,
            Verb::Finalize => status == S::Pending,
            Verb::Dismiss => status == S::Concluded,
        }
    }
}

/// All jobs, the oldest first.
#[derive(Default, Debug)]
pub struct Jobs(Vec<JobInfo>);

impl Jobs {
    /// The jobs.
    #[must_use]
    pub fn list(&self) -> &[JobInfo] {
        &self.0
    }

    /// Begins a job; clients hear of it.
    ///
    /// # Errors
    /// A name that is none, or taken.
    pub fn begin(&mut self, id: &str, kind: JobType, tell: &mut dyn FnMut(JobChanged)) -> Result<(), Error> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if !id.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()) || !id.bytes().all(word) {
            return Err(Error::new(format!("Invalid job ID '{id}'")));
        }
        if self.0.iter().any(|j| j.id == id) {
            return Err(Error::new(format!("Job ID '{id}' already in use")));
        }
        let job = JobInfo {
            id: id.to_owned(),
            r#type: kind,
            status: JobStatus::Undefined,
            current_progress: 0,
            total_progress: 1,
            error: None,
        };
        self.0.push(job);
        self.set(id, JobStatus::Created, tell);
        self.set(id, JobStatus::Running, tell);
        Ok(())
    }

    /// Ends a job that has done its work or failed; it stays until it is dismissed.
    pub fn end(&mut self, id: &str, result: Result<(), String>, tell: &mut dyn FnMut(JobChanged)) {
        let Some(job) = self.0.iter_mut().find(|j| j.id == id) else { return };
        match result {
            Ok(()) => {
                job.current_progress = job.total_progress;
                self.set(id, JobStatus::Waiting, tell);
                self.set(id, JobStatus::Pending, tell);
            }
            Err(why) => {
                job.error = Some(why);
                self.set(id, JobStatus::Aborting, tell);
            }
        }
        self.set(id, JobStatus::Concluded, tell);
    }

    /// Does something to a job.
    ///
    /// # Errors
    /// There is none of this name, or it is in no state for this.
    pub fn verb(&mut self, id: &str, verb: Verb, tell: &mut dyn FnMut(JobChanged)) -> Result<(), Error> {
        let job = self.0.iter().find(|j| j.id == id).ok_or_else(|| Error::new("Job not found"))?;
        if !verb.allowed(job.status) {
            let (status, verb) = (job.status.name(), verb.name());
            return Err(Error::new(format!("Job '{id}' in state '{status}' cannot accept command verb '{verb}'")));
        }
        // Jobs do their work at once, so nobody sees one that could be held or given up.
        if verb == Verb::Dismiss {
            self.set(id, JobStatus::Null, tell);
            self.0.retain(|j| j.id != id);
        }
        Ok(())
    }

    /// The same for block jobs, of which there are none.
    ///
    /// # Errors
    /// Always.
    pub fn block_verb(&self, id: &str) -> Result<(), Error> {
        Err(Error::of(Class::DeviceNotActive, format!("Block job '{id}' not found")))
    }

    fn set(&mut self, id: &str, status: JobStatus, tell: &mut dyn FnMut(JobChanged)) {
        if let Some(job) = self.0.iter_mut().find(|j| j.id == id) {
            job.status = status;
            tell(JobChanged { id: id.to_owned(), status });
        }
    }
}
