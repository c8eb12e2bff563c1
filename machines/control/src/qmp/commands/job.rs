//! Background jobs, snapshots of the machine (QEMU QMP Reference Manual, "Background jobs", "Block device operations",
//! "Migration").

use super::block::IoStatus;
use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::events::JobChanged;
use crate::qmp::jobs::Verb;
use crate::qmp::qapi::qapi;
use crate::qmp::schema::Type as _;
use crate::vm::Vm;
use crate::vm::save::Nodes;

qapi! {
    /// Kinds of jobs.
    enum JobType { Commit, Stream, Mirror, Backup, Create, Amend, SnapshotLoad, SnapshotSave, SnapshotDelete }
    /// Where a job is.
    enum JobStatus {
        Undefined, Created, Running, Paused, Ready, Standby, Waiting, Pending, Aborting, Concluded, Null,
    }
    /// A job.
    struct JobInfo {
        id: String, r#type: JobType, status: JobStatus, current_progress: i64, total_progress: i64,
        error: Option<String>,
    }
    /// A job by its name.
    struct JobId { id: String }
    /// A block job by its name.
    struct BlockJobId { device: String }
    /// The same, at once?
    struct BlockJobCancel { device: String, force: Option<bool> }
    /// A block job.
    struct BlockJobInfo {
        r#type: JobType, device: String, len: i64, offset: i64, busy: bool, paused: bool, speed: i64,
        io_status: IoStatus, ready: bool, status: JobStatus, auto_finalize: bool, auto_dismiss: bool,
        error: Option<String>,
    }
    /// A snapshot of the machine, and the nodes that it is in.
    struct SnapshotArgs { job_id: String, tag: String, vmstate: String, devices: Vec<String> }
    /// A snapshot of nodes.
    struct SnapshotDelete { job_id: String, tag: String, devices: Vec<String> }
    /// A block job's new limit, in bytes a second.
    struct BlockJobSpeed { device: String, speed: i64 }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-jobs" (Empty) -> Vec<JobInfo> = |vm, _| Ok(vm.qmp.jobs.list().to_vec());
    "job-pause" (JobId) -> Empty = |vm, job| verb(vm, &job, Verb::Pause);
    "job-resume" (JobId) -> Empty = |vm, job| verb(vm, &job, Verb::Resume);
    "job-cancel" (JobId) -> Empty = |vm, job| verb(vm, &job, Verb::Cancel);
    "job-complete" (JobId) -> Empty = |vm, job| verb(vm, &job, Verb::Complete);
    "job-dismiss" (JobId) -> Empty = |vm, job| verb(vm, &job, Verb::Dismiss);
    "job-finalize" (JobId) -> Empty = |vm, job| verb(vm, &job, Verb::Finalize);
    "query-block-jobs" [preconfig] (Empty) -> Vec<BlockJobInfo> = |_, _| Ok(Vec::new());
    "block-job-set-speed" [preconfig] (BlockJobSpeed) -> Empty = |vm, args| block_job(vm, &args.device);
    "block-job-cancel" [preconfig] (BlockJobCancel) -> Empty = |vm, args| block_job(vm, &args.device);
    "block-job-pause" [preconfig] (BlockJobId) -> Empty = |vm, args| block_job(vm, &args.device);
    "block-job-resume" [preconfig] (BlockJobId) -> Empty = |vm, args| block_job(vm, &args.device);
    "block-job-complete" [preconfig] (BlockJobId) -> Empty = |vm, args| block_job(vm, &args.device);
    "block-job-dismiss" [preconfig] (JobId) -> Empty = |vm, args| block_job(vm, &args.id);
    "block-job-finalize" [preconfig] (JobId) -> Empty = |vm, args| block_job(vm, &args.id);
    "snapshot-save" (SnapshotArgs) -> Empty = |vm, args| {
        job(vm, &args.job_id, JobType::SnapshotSave, |vm| vm.save_in(&args.tag, args.nodes(), false))
    };
    "snapshot-load" (SnapshotArgs) -> Empty = |vm, args| {
        job(vm, &args.job_id, JobType::SnapshotLoad, |vm| vm.load_from(&args.tag, args.nodes()))
    };
    "snapshot-delete" (SnapshotDelete) -> Empty = |vm, args| {
        job(vm, &args.job_id, JobType::SnapshotDelete, |vm| vm.delete_in(&args.tag, Some(&args.devices)))
    };
};

impl SnapshotArgs {
    fn nodes(&self) -> Nodes<'_> {
        Nodes { keeper: Some(&self.vmstate), all: Some(&self.devices) }
    }
}

fn verb(vm: &mut Vm, job: &JobId, verb: Verb) -> Result<Empty, Error> {
    let mut told = Vec::new();
    let result = vm.qmp.jobs.verb(&job.id, verb, &mut |event| told.push(event));
    tell(vm, told);
    result.map(|()| Empty {})
}

fn block_job(vm: &mut Vm, id: &str) -> Result<Empty, Error> {
    vm.qmp.jobs.block_verb(id).map(|()| Empty {})
}

fn tell(vm: &mut Vm, events: Vec<JobChanged>) {
    for event in events {
        vm.emit("JOB_STATUS_CHANGE", event.encode());
    }
}

/// A job that does its work at once; how it went is seen in the job.
fn job(vm: &mut Vm, id: &str, kind: JobType, work: impl FnOnce(&mut Vm) -> Result<(), String>) -> Result<Empty, Error> {
    let mut told = Vec::new();
    let begun = vm.qmp.jobs.begin(id, kind, &mut |event| told.push(event));
    tell(vm, core::mem::take(&mut told));
    begun?;
    let result = work(vm);
    vm.qmp.jobs.end(id, result, &mut |event| told.push(event));
    tell(vm, told);
    Ok(Empty {})
}
