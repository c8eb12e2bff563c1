//! The events (QEMU QMP Reference Manual, "Events" of each chapter).

use super::command::Empty;
use super::commands::absent::Status as OspmStatus;
use super::commands::dump::DumpResult;
use super::commands::job::{JobStatus, JobType};
use super::commands::migration::MigrationStatus;
use super::commands::net::SocketAddress;
use super::commands::run::WatchdogAction;
use super::event::{EventRow, events};
use super::qapi::qapi;

qapi! {
    /// Why a machine ends or is reset.
    enum ShutdownCause {
        None, HostError, HostQmpQuit, HostQmpSystemReset, HostSignal, HostUi, GuestShutdown, GuestReset, GuestPanic,
        SubsystemReset, SnapshotLoad,
    }
    /// Of `SHUTDOWN` and `RESET`.
    struct Ending { guest: bool, reason: ShutdownCause }
    /// Of `WATCHDOG`.
    struct WatchdogBarked { action: WatchdogAction }
    /// What is done about a crash of the guest.
    enum GuestPanicAction { Pause, Poweroff, Run }
    /// Hyper-V's five words about a crash.
    struct HyperVCrash { arg1: u64, arg2: u64, arg3: u64, arg4: u64, arg5: u64 }
    /// What a guest says of its crash.
    union GuestPanicInformation { ; by "type" as GuestPanicKind; HyperV(HyperVCrash) as "hyper-v" }
    /// Of `GUEST_PANICKED` and `GUEST_CRASHLOADED`.
    struct Crash { action: GuestPanicAction, info: Option<GuestPanicInformation> }
    /// Of `JOB_STATUS_CHANGE`.
    struct JobChanged { id: String, status: JobStatus }
    /// Of `DEVICE_TRAY_MOVED`.
    struct TrayMoved { device: String, id: String, tray_open: bool }
    /// Of `BLOCK_IMAGE_CORRUPTED`.
    struct Corrupted {
        device: String, node_name: Option<String>, msg: String, offset: Option<i64>, size: Option<i64>, fatal: bool,
    }
    /// What a disk was asked to do.
    enum IoOperation { Read, Write }
    /// What is done about a disk's error.
    enum BlockErrorAction { Ignore, Report, Stop }
    /// Of `BLOCK_IO_ERROR`.
    struct IoFailed {
        qom_path: String, device: String, node_name: Option<String>, operation: IoOperation, action: BlockErrorAction,
        nospace: Option<bool>, reason: String,
    }
    /// Of `BLOCK_JOB_COMPLETED`, `BLOCK_JOB_CANCELLED` and `BLOCK_JOB_READY`.
    struct BlockJobState {
        r#type: JobType, device: String, len: i64, offset: i64, speed: i64, error: Option<String>,
    }
    /// Of `BLOCK_JOB_ERROR`.
    struct BlockJobFailed { device: String, operation: IoOperation, action: BlockErrorAction }
    /// Of `BLOCK_JOB_PENDING`.
    struct BlockJobPending { r#type: JobType, id: String }
    /// Of `BLOCK_WRITE_THRESHOLD`.
    struct ThresholdCrossed { node_name: String, amount_exceeded: u64, write_threshold: u64 }
    /// Of `VSERPORT_CHANGE`.
    struct PortChanged { id: String, open: bool }
    /// Of `DUMP_COMPLETED`.
    struct DumpDone { result: DumpResult, error: Option<String> }
    /// Of `NIC_RX_FILTER_CHANGED`.
    struct FilterChanged { name: Option<String>, path: String }
    /// Of `FAILOVER_NEGOTIATED`.
    struct Failover { device_id: String }
    /// Of `NETDEV_STREAM_CONNECTED`.
    struct StreamConnected { netdev_id: String, addr: SocketAddress }
    /// Of `NETDEV_STREAM_DISCONNECTED`.
    struct StreamGone { netdev_id: String }
    /// Of `MIGRATION`.
    struct Migrated { status: MigrationStatus }
    /// Of `MIGRATION_PASS`.
    struct Pass { pass: i64 }
    /// Of `DEVICE_DELETED` and `DEVICE_UNPLUG_GUEST_ERROR`.
    struct DevicePath { device: Option<String>, path: String }
    /// Of `BALLOON_CHANGE`.
    struct BalloonChanged { actual: i64 }
    /// Of `MEMORY_DEVICE_SIZE_CHANGE`.
    struct SizeChanged { id: Option<String>, size: u64, qom_path: String }
    /// Of `RTC_CHANGE`.
    struct ClockChanged { offset: i64, qom_path: String }
    /// Of `ACPI_DEVICE_OST`.
    struct DeviceStatus { info: OspmStatus }
}

/// All kinds of events.
pub static EVENTS: &[EventRow] = events! {
    SHUTDOWN Ending;
    POWERDOWN Empty;
    RESET Ending;
    STOP Empty;
    RESUME Empty;
    SUSPEND Empty;
    SUSPEND_DISK Empty;
    WAKEUP Empty;
    WATCHDOG WatchdogBarked [key ""];
    GUEST_PANICKED Crash;
    GUEST_CRASHLOADED Crash;
    GUEST_PVSHUTDOWN Empty;
    JOB_STATUS_CHANGE JobChanged;
    DEVICE_TRAY_MOVED TrayMoved;
    BLOCK_IMAGE_CORRUPTED Corrupted;
    BLOCK_IO_ERROR IoFailed [key "qom-path"];
    BLOCK_JOB_COMPLETED BlockJobState;
    BLOCK_JOB_CANCELLED BlockJobState;
    BLOCK_JOB_ERROR BlockJobFailed;
    BLOCK_JOB_READY BlockJobState;
    BLOCK_JOB_PENDING BlockJobPending;
    BLOCK_WRITE_THRESHOLD ThresholdCrossed;
    VSERPORT_CHANGE PortChanged [key "id"];
    DUMP_COMPLETED DumpDone;
    NIC_RX_FILTER_CHANGED FilterChanged;
    FAILOVER_NEGOTIATED Failover;
    NETDEV_STREAM_CONNECTED StreamConnected;
    NETDEV_STREAM_DISCONNECTED StreamGone;
    MIGRATION Migrated;
    MIGRATION_PASS Pass;
    DEVICE_DELETED DevicePath;
    DEVICE_UNPLUG_GUEST_ERROR DevicePath;
    BALLOON_CHANGE BalloonChanged [key ""];
    MEMORY_DEVICE_SIZE_CHANGE SizeChanged [key "qom-path"];
    RTC_CHANGE ClockChanged [key ""];
    ACPI_DEVICE_OST DeviceStatus;
};
