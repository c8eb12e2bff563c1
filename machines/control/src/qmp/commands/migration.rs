//! Migration (QEMU QMP Reference Manual, "Migration").

use super::net::SocketAddress;
use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::events::Migrated;
use crate::qmp::qapi::qapi;
use crate::qmp::schema::Type as _;
use crate::vm::{RunState, Vm};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tern_host::clock::monotonic_ns;

qapi! {
    /// Where a migration is.
    enum MigrationStatus {
        None, Setup, Cancelling, Cancelled, Active, PostcopyActive, PostcopyPaused, PostcopyRecoverSetup,
        PostcopyRecover, Completed, Failed, Colo, PreSwitchover, Device, WaitUnplug,
    }
    /// What has been sent, in bytes and pages.
    struct MigrationStats {
        transferred: i64, remaining: i64, total: i64, duplicate: i64, normal: i64, normal_bytes: i64,
        dirty_pages_rate: i64, mbps: f64, dirty_sync_count: i64, postcopy_requests: i64, page_size: i64,
        multifd_bytes: u64, pages_per_second: u64, precopy_bytes: u64, downtime_bytes: u64, postcopy_bytes: u64,
        dirty_sync_missed_zero_copy: u64,
    }
    /// A migration; times in milliseconds.
    struct MigrationInfo {
        status: Option<MigrationStatus>, ram: Option<MigrationStats>, total_time: Option<i64>,
        expected_downtime: Option<i64>, downtime: Option<i64>, setup_time: Option<i64>, error_desc: Option<String>,
        blocked_reasons: Option<Vec<String>>, socket_address: Option<Vec<SocketAddress>>,
    }
    /// What migrations can be told to do.
    enum MigrationCapability {
        Xbzrle, RdmaPinAll, AutoConverge, ZeroBlocks, Events, PostcopyRam, XColo, ReleaseRam, ReturnPath,
        PauseBeforeSwitchover, Multifd, DirtyBitmaps, PostcopyBlocktime, LateBlockActivate, XIgnoreShared,
        ValidateUuid, BackgroundSnapshot, ZeroCopySend, PostcopyPreempt, SwitchoverAck, DirtyLimit, MappedRam,
    }
    /// Whether they do.
    struct CapabilityStatus { capability: MigrationCapability, state: bool }
    /// What they are to do.
    struct SetCapabilities { capabilities: Vec<CapabilityStatus> }
    /// How memory is compressed.
    enum Compression { None }
    /// When a machine may go.
    enum MigrationMode { Normal, CprReboot, CprTransfer }
    /// Who looks for pages of zeroes.
    enum ZeroPages { None, Legacy, Multifd }
    /// What migrations go by.
    struct MigrationParameters {
        announce_initial: Option<u64>, announce_max: Option<u64>, announce_rounds: Option<u64>,
        announce_step: Option<u64>, throttle_trigger_threshold: Option<u8>, cpu_throttle_initial: Option<u8>,
        cpu_throttle_increment: Option<u8>, cpu_throttle_tailslow: Option<bool>, tls_creds: Option<String>,
        tls_hostname: Option<String>, tls_authz: Option<String>, max_bandwidth: Option<u64>,
        avail_switchover_bandwidth: Option<u64>, downtime_limit: Option<u64>, x_checkpoint_delay: Option<u32>,
        multifd_channels: Option<u8>, xbzrle_cache_size: Option<u64>, max_postcopy_bandwidth: Option<u64>,
        max_cpu_throttle: Option<u8>, multifd_compression: Option<Compression>, multifd_zlib_level: Option<u8>,
        multifd_qatzip_level: Option<u8>, multifd_zstd_level: Option<u8>, x_vcpu_dirty_limit_period: Option<u64>,
        vcpu_dirty_limit: Option<u64>, mode: Option<MigrationMode>, zero_page_detection: Option<ZeroPages>,
        direct_io: Option<bool>,
    }
    /// What is sent over a channel.
    enum ChannelType { Main, Cpr }
    /// Where a migration goes.
    open MigrationAddress { transport: String }
    /// A channel of a migration.
    struct MigrationChannel { channel_type: ChannelType, addr: MigrationAddress }
    /// Where to migrate.
    struct Migrate {
        uri: Option<String>, channels: Option<Vec<MigrationChannel>>, detach: Option<bool>, resume: Option<bool>,
    }
    /// Where a migration comes from.
    struct MigrateIncoming {
        uri: Option<String>, channels: Option<Vec<MigrationChannel>>, exit_on_error: Option<bool>,
    }
    /// A state from which to go on.
    struct MigrateContinue { state: MigrationStatus }
    /// A place to go on from.
    struct MigrateRecover { uri: String }
}

/// A page, as far as migrations count them.
const PAGE: i64 = 4096;

/// The migration, and what it goes by.
#[derive(Debug)]
pub struct Migration {
    status: Option<MigrationStatus>,
    error: Option<String>,
    /// What was sent, in bytes, and how long it took, in milliseconds.
    sent: i64,
    took: i64,
    events: bool,
    parameters: MigrationParameters,
}

impl Default for Migration {
    fn default() -> Migration {
        // QEMU's, which its manual names.
        let parameters = MigrationParameters {
            announce_initial: Some(50),
            announce_max: Some(550),
            announce_rounds: Some(5),
            announce_step: Some(100),
            throttle_trigger_threshold: Some(50),
            cpu_throttle_initial: Some(20),
            cpu_throttle_increment: Some(10),
            cpu_throttle_tailslow: Some(false),
            tls_creds: Some(String::new()),
            tls_hostname: Some(String::new()),
            tls_authz: Some(String::new()),
            max_bandwidth: Some(128 << 20),
            avail_switchover_bandwidth: Some(0),
            downtime_limit: Some(300),
            x_checkpoint_delay: Some(20_000),
            multifd_channels: Some(2),
            xbzrle_cache_size: Some(64 << 20),
            max_postcopy_bandwidth: Some(0),
            max_cpu_throttle: Some(99),
            multifd_compression: Some(Compression::None),
            multifd_zlib_level: Some(1),
            multifd_qatzip_level: Some(1),
            multifd_zstd_level: Some(1),
            x_vcpu_dirty_limit_period: Some(1000),
            vcpu_dirty_limit: Some(1),
            mode: Some(MigrationMode::Normal),
            zero_page_detection: Some(ZeroPages::Multifd),
            direct_io: Some(false),
        };
        Migration { status: None, error: None, sent: 0, took: 0, events: false, parameters }
    }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-migrate" (Empty) -> MigrationInfo = |vm, _| Ok(info(&vm.qmp.migration));
    "query-migrate-capabilities" (Empty) -> Vec<CapabilityStatus> = |vm, _| {
        let events = vm.qmp.migration.events;
        let state = |capability| capability == MigrationCapability::Events && events;
        let all = MigrationCapability::ALL.iter();
        Ok(all.map(|c| CapabilityStatus { capability: *c, state: state(*c) }).collect())
    };
    "migrate-set-capabilities" (SetCapabilities) -> Empty = set_capabilities;
    "query-migrate-parameters" (Empty) -> MigrationParameters = |vm, _| Ok(vm.qmp.migration.parameters.clone());
    "migrate-set-parameters" (MigrationParameters) -> Empty = set_parameters;
    "migrate" (Migrate) -> Empty = migrate;
    "migrate-incoming" (MigrateIncoming) -> Empty = incoming;
    // A migration is over when its command is answered.
    "migrate_cancel" (Empty) -> Empty = |_, _| Ok(Empty {});
    "migrate-continue" (MigrateContinue) -> Empty = |vm, _| {
        let status = vm.qmp.migration.status.unwrap_or(MigrationStatus::None);
        Err(Error::new(format!("Migration not in expected state: {}", status.name())))
    };
    "migrate-start-postcopy" (Empty) -> Empty = |_, _| {
        Err(Error::new("Enable postcopy with migrate_set_capability before the start of migration"))
    };
    "migrate-recover" [oob] (MigrateRecover) -> Empty = |_, _| {
        Err(Error::new("Migrate recover can only be run when postcopy is paused."))
    };
    "migrate-pause" [oob] (Empty) -> Empty = |_, _| {
        Err(Error::new("migrate-pause is currently only supported during postcopy-active or postcopy-recover state"))
    };
};

fn info(migration: &Migration) -> MigrationInfo {
    let done = migration.status == Some(MigrationStatus::Completed);
    let ram = done.then_some(MigrationStats {
        transferred: migration.sent,
        remaining: 0,
        total: migration.sent,
        duplicate: 0,
        normal: migration.sent / PAGE,
        normal_bytes: migration.sent,
        dirty_pages_rate: 0,
        mbps: 0.0,
        dirty_sync_count: 1,
        postcopy_requests: 0,
        page_size: PAGE,
        multifd_bytes: 0,
        pages_per_second: 0,
        precopy_bytes: migration.sent as u64,
        downtime_bytes: 0,
        postcopy_bytes: 0,
        dirty_sync_missed_zero_copy: 0,
    });
    MigrationInfo {
        status: migration.status,
        ram,
        total_time: done.then_some(migration.took),
        expected_downtime: None,
        downtime: done.then_some(migration.took),
        setup_time: done.then_some(0),
        error_desc: migration.error.clone(),
        blocked_reasons: None,
        socket_address: None,
    }
}

/// Capabilities that change nothing here, beside the one that says whether there are events.
const HARMLESS: [MigrationCapability; 2] = [MigrationCapability::LateBlockActivate, MigrationCapability::ReleaseRam];

fn set_capabilities(vm: &mut Vm, args: SetCapabilities) -> Result<Empty, Error> {
    for wanted in &args.capabilities {
        let fine = wanted.capability == MigrationCapability::Events || HARMLESS.contains(&wanted.capability);
        if wanted.state && !fine {
            return Err(Error::new(format!("migration capability '{}' is not supported", wanted.capability.name())));
        }
    }
    let events = args.capabilities.iter().rev().find(|w| w.capability == MigrationCapability::Events);
    if let Some(events) = events {
        vm.qmp.migration.events = events.state;
    }
    Ok(Empty {})
}

fn set_parameters(vm: &mut Vm, args: MigrationParameters) -> Result<Empty, Error> {
    let percent = |name: &str, value: Option<u8>, least: u8| match value {
        Some(n) if !(least..=99).contains(&n) => {
            Err(Error::new(format!("Parameter '{name}' expects an integer in the range of {least} to 99")))
        }
        _ => Ok(()),
    };
    percent("cpu_throttle_initial", args.cpu_throttle_initial, 1)?;
    percent("cpu_throttle_increment", args.cpu_throttle_increment, 1)?;
    if args.downtime_limit.is_some_and(|ms| ms > 2_000_000) {
        return Err(Error::new("Parameter 'downtime_limit' expects an integer in the range of 0 to 2000000 ms"));
    }
    if args.multifd_channels == Some(0) {
        return Err(Error::new("Parameter 'multifd_channels' expects a value between 1 and 255"));
    }
    // What is given takes the place of what is there.
    let (mut all, given) = (vm.qmp.migration.parameters.encode(), args.encode());
    if let (Some(all), serde_json::Value::Object(given)) = (all.as_object_mut(), given) {
        all.extend(given);
    }
    vm.qmp.migration.parameters = MigrationParameters::decode(all, &crate::qmp::schema::Path::Root)?;
    Ok(Empty {})
}

/// The file that a migration goes to or comes from.
fn file(uri: Option<String>, channels: Option<Vec<MigrationChannel>>) -> Result<PathBuf, Error> {
    let name = match (uri, channels) {
        (Some(uri), None) => match uri.strip_prefix("file:") {
            Some(name) => name.split(",offset=").next().unwrap_or(name).to_owned(),
            None => {
                let known = ["tcp", "unix", "exec", "fd", "vsock", "rdma"];
                let protocol = uri.split(':').next().unwrap_or_default();
                return Err(Error::new(match known.contains(&protocol) {
                    true => format!("migration over {protocol} is not built yet, only to files"),
                    false => format!("unknown migration protocol: {uri}"),
                }));
            }
        },
        (None, Some(channels)) => {
            let mut types = BTreeSet::new();
            if channels.iter().any(|c| !types.insert(c.channel_type.name())) {
                return Err(Error::new("Channel list has more than one main entry"));
            }
            let main = channels.iter().find(|c| c.channel_type == ChannelType::Main);
            let addr = &main.ok_or_else(|| Error::new("Channel list has no main entry"))?.addr;
            match (addr.transport.as_str(), addr.rest.get("filename").and_then(serde_json::Value::as_str)) {
                ("file", Some(name)) => name.to_owned(),
                ("file", None) => return Err(Error::new("Parameter 'channels[0].addr.filename' is missing")),
                (other, _) => {
                    return Err(Error::new(format!("migration over {other} is not built yet, only to files")));
                }
            }
        }
        _ => return Err(Error::new("need either 'uri' or 'channels' argument")),
    };
    Ok(name.into())
}

fn status(vm: &mut Vm, status: MigrationStatus) {
    vm.qmp.migration.status = Some(status);
    if vm.qmp.migration.events {
        vm.emit("MIGRATION", Migrated { status }.encode());
    }
}

fn migrate(vm: &mut Vm, args: Migrate) -> Result<Empty, Error> {
    if args.resume == Some(true) {
        return Err(Error::new("Cannot resume if there is no paused migration"));
    }
    if vm.status() == RunState::Inmigrate {
        return Err(Error::new("Guest is waiting for an incoming migration"));
    }
    if vm.status() == RunState::Postmigrate {
        return Err(Error::new("Can't migrate the vm that was paused due to previous migration"));
    }
    let path = file(args.uri, args.channels)?;
    let begin = monotonic_ns();
    vm.qmp.migration.error = None;
    status(vm, MigrationStatus::Setup);
    status(vm, MigrationStatus::Active);
    match vm.migrate_to(&path) {
        Ok(sent) => {
            vm.qmp.migration.sent = i64::try_from(sent).unwrap_or(i64::MAX);
            vm.qmp.migration.took = (monotonic_ns().saturating_sub(begin) / 1_000_000) as i64;
            status(vm, MigrationStatus::Completed);
        }
        Err(why) => {
            vm.qmp.migration.error = Some(why);
            status(vm, MigrationStatus::Failed);
        }
    }
    Ok(Empty {})
}

fn incoming(vm: &mut Vm, args: MigrateIncoming) -> Result<Empty, Error> {
    if vm.status() != RunState::Inmigrate {
        return Err(Error::new(match vm.options.incoming {
            Some(_) => "The incoming migration has already been started",
            None => "'-incoming' was not specified on the command line",
        }));
    }
    let path = file(args.uri, args.channels)?;
    status(vm, MigrationStatus::Active);
    match vm.migrate_from(&path) {
        Ok(()) => status(vm, MigrationStatus::Completed),
        Err(why) => {
            vm.qmp.migration.error = Some(why.clone());
            status(vm, MigrationStatus::Failed);
            if args.exit_on_error != Some(false) {
                vm.tell(&format!("load of migration failed: {why}"));
                vm.shutdown(crate::vm::Cause::HostError, 1);
            }
        }
    }
    Ok(Empty {})
}
