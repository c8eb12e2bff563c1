//! What no machine of tern has: clients that ask are told that there is none, in the words of QEMU where it has none either.

use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;

qapi! {
    /// A helper for persistent reservations of SCSI disks.
    struct ReservationManager { id: String, connected: bool }
    /// Families of addresses.
    enum AddressFamily { Ipv4, Ipv6, Unix, Vsock, Unknown }
    /// A client of a VNC server.
    struct VncClient {
        host: String, service: String, family: AddressFamily, websocket: bool, x509_dname as "x509_dname": Option<String>,
        sasl_username as "sasl_username": Option<String>,
    }
    /// The VNC server.
    struct Vnc {
        enabled: bool, host: Option<String>, family: Option<AddressFamily>, service: Option<String>, auth: Option<String>,
        clients: Option<Vec<VncClient>>,
    }
    /// Kinds of displays.
    enum DisplayType { Default, None }
    /// The display.
    struct Display {
        r#type: DisplayType, full_screen: Option<bool>, window_close: Option<bool>, show_cursor: Option<bool>,
    }
    /// Whether Xen's replication failed.
    struct Replication { error: bool, desc: Option<String> }
    /// Sides of a pair of machines in lock-step.
    enum ColoMode { None, Primary, Secondary }
    /// Why the lock-step ended.
    enum ColoExit { None, Request, Error, Processing }
    /// The lock-step.
    struct Colo { mode: ColoMode, last_mode: ColoMode, reason: ColoExit }
    /// A unit of time.
    enum TimeUnit { Second, Millisecond }
    /// Whether the rate of dirty pages is known.
    enum DirtyRateStatus { Unstarted, Measuring, Measured }
    /// How it is measured.
    enum DirtyRateMode { PageSampling, DirtyRing, DirtyBitmap }
    /// In which unit to answer.
    struct DirtyRateArgs { calc_time_unit: Option<TimeUnit> }
    /// The rate of dirty pages, in MiB a second.
    struct DirtyRate {
        dirty_rate: Option<i64>, status: DirtyRateStatus, start_time: i64, calc_time: i64, calc_time_unit: TimeUnit,
        sample_pages: u64, mode: DirtyRateMode,
    }
    /// A thread that migrates.
    struct MigrationThread { name: String, thread_id: i64 }
    /// A crypto backend.
    struct Cryptodev { id: String, service: Vec<String>, client: Vec<String> }
    /// Where statistics come from.
    enum StatsProvider { Kvm, Cryptodev }
    /// What statistics are of.
    enum StatsTarget { Vm, Vcpu, Cryptodev }
    /// What statistics there are.
    struct StatsSchema { provider: StatsProvider, target: StatsTarget, stats: Vec<String> }
    /// Of which provider.
    struct StatsArgs { provider: Option<StatsProvider> }
    /// A sound backend.
    struct Audiodev { id: String, driver: String, timer_period: Option<u32> }
    /// A GUID.
    struct Guid { guid: String }
    /// Memory as Hyper-V's balloon sees it, in bytes.
    struct HvBalloon { committed: u64, available: u64 }
    /// What ACPI calls a slot.
    enum SlotType { Dimm as "DIMM", Cpu as "CPU" }
    /// What a guest says of a slot (ACPI, "_OST").
    struct Status { device: Option<String>, slot: String, slot_type: SlotType, source: i64, status: i64 }
    /// Whether an accelerator is used and there.
    struct Accelerator { enabled: bool, present: bool }
    /// A limit of the rate at which a CPU writes to memory.
    struct DirtyLimit { cpu_index: i64, limit_rate: u64, current_rate: u64 }
    /// Formats of pictures.
    enum ImageFormat { Ppm, Png }
    /// Of which display, and where to.
    struct Screendump {
        filename: String, device: Option<String>, head: Option<i64>, format: Option<ImageFormat>,
    }
    /// A password of a display.
    open Password { protocol: String }
    /// Which display's certificates are read again.
    open DisplayReload { r#type: String }
    /// A Rocker switch.
    struct Rocker { name: String, id: u64, ports: u32 }
    /// Which one.
    struct RockerArgs { name: String }
}

fn none<T, A>(_: &mut Vm, _: A) -> Result<Vec<T>, Error> {
    Ok(Vec::new())
}

fn refuse<T>(why: &str) -> Result<T, Error> {
    Err(Error::new(why))
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-pr-managers" [preconfig] (Empty) -> Vec<ReservationManager> = none;
    "query-vnc" (Empty) -> Vnc = |_, _| {
        Ok(Vnc { enabled: false, host: None, family: None, service: None, auth: None, clients: None })
    };
    "query-vnc-servers" (Empty) -> Vec<Vnc> = none;
    "query-display-options" (Empty) -> Display = |_, _| {
        Ok(Display { r#type: DisplayType::None, full_screen: None, window_close: None, show_cursor: None })
    };
    "screendump" (Screendump) -> Empty = |_, args| match args.device {
        Some(device) => refuse(&format!("Device '{device}' not found")),
        None => refuse("There is no console to take a screendump from"),
    };
    "set_password" (Password) -> Empty = |_, args| no_display(&args.protocol);
    "expire_password" (Password) -> Empty = |_, args| no_display(&args.protocol);
    "display-reload" (DisplayReload) -> Empty = |_, args| no_display(&args.r#type);
    "query-xen-replication-status" (Empty) -> Replication = |_, _| Ok(Replication { error: false, desc: None });
    "query-colo-status" (Empty) -> Colo = |_, _| {
        Ok(Colo { mode: ColoMode::None, last_mode: ColoMode::None, reason: ColoExit::None })
    };
    "query-dirty-rate" (DirtyRateArgs) -> DirtyRate = |_, args| Ok(DirtyRate {
        dirty_rate: None,
        status: DirtyRateStatus::Unstarted,
        start_time: 0,
        calc_time: 0,
        calc_time_unit: args.calc_time_unit.unwrap_or(TimeUnit::Second),
        sample_pages: 0,
        mode: DirtyRateMode::PageSampling,
    });
    "query-vcpu-dirty-limit" (Empty) -> Vec<DirtyLimit> = none;
    "query-migrationthreads" (Empty) -> Vec<MigrationThread> = none;
    "query-cryptodev" (Empty) -> Vec<Cryptodev> = none;
    "query-stats-schemas" (StatsArgs) -> Vec<StatsSchema> = none;
    "query-audiodevs" (Empty) -> Vec<Audiodev> = |vm, _| {
        let one = |id: &String| Audiodev { id: id.clone(), driver: "none".to_owned(), timer_period: None };
        Ok(vm.config.audiodevs.iter().map(one).collect())
    };
    "query-vm-generation-id" (Empty) -> Guid = |_, _| refuse("VM Generation ID device not found");
    "query-hv-balloon-status-report" (Empty) -> HvBalloon = |_, _| refuse("hv-balloon device not enabled in this build");
    "query-acpi-ospm-status" (Empty) -> Vec<Status> = |_, _| refuse("command is not supported, missing ACPI device");
    "query-kvm" (Empty) -> Accelerator = |_, _| Ok(Accelerator { enabled: false, present: false });
    "query-rocker" (RockerArgs) -> Rocker = |_, args| refuse(&format!("rocker {} not found", args.name));
};

fn no_display(protocol: &str) -> Result<Empty, Error> {
    match protocol {
        "vnc" | "spice" => refuse(&format!("{protocol} is not in use")),
        _ => Err(Error::new(format!("Parameter 'protocol' does not accept value '{protocol}'"))),
    }
}
