//! Background jobs, snapshots of the machine (QEMU QMP Reference Manual, "Background jobs", "Block device operations",
//! "Migration").

use super::block::IoStatus;
use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::events::JobChanged;
use crate::qmp::jobs::Verb;
use crate::qmp::qapi::qapi;
use crate::qmp::schema::Type as _;
use crate::vm::Vm;

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
        let nodes = core::iter::once(&args.vmstate).chain(&args.devices);
        let result = nodes.into_iter().try_for_each(|node| check(vm, node));
        job(vm, &args.job_id, JobType::SnapshotSave, result)
    };
    "snapshot-load" (SnapshotArgs) -> Empty = |vm, args| {
        let result = args.devices.iter().chain([&args.vmstate]).try_for_each(|node| check(vm, node));
        job(vm, &args.job_id, JobType::SnapshotLoad, result)
    };
    "snapshot-delete" (SnapshotDelete) -> Empty = |vm, args| {
        let result = args.devices.iter().try_for_each(|node| check(vm, node));
        job(vm, &args.job_id, JobType::SnapshotDelete, result)
    };
};

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

/// A job that is done, or has failed, as soon as it has begun.
fn job(vm: &mut Vm, id: &str, kind: JobType, result: Result<(), String>) -> Result<Empty, Error> {
    let mut told = Vec::new();
    let begun = vm.qmp.jobs.begin(id, kind, &mut |event| told.push(event));
    if begun.is_ok() {
        vm.qmp.jobs.end(id, result, &mut |event| told.push(event));
    }
    tell(vm, told);
    begun.map(|()| Empty {})
}

/// Can a node hold a snapshot?  No image of tern can yet.
fn check(vm: &Vm, node: &str) -> Result<(), String> {
    match vm.host.world().blocks.node(node) {
        None => Err(format!("No block device node '{node}'")),
        Some(_) => Err(format!("Device '{node}' is writable but does not support snapshots")),
    }
}
