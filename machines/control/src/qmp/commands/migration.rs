//! Migration (QEMU QMP Reference Manual, "Migration").

use super::net::{SocketAddress, address_of};
use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::events::Migrated;
use crate::qmp::qapi::qapi;
use crate::qmp::schema::Type as _;
use crate::vm::migrate::place;
use crate::vm::{RunState, Vm};
use std::collections::BTreeSet;
use tern_host::channel::Place;

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

/// What a migration has done so far.
#[derive(Clone, Copy, Default, Debug)]
pub struct Figures {
    /// Bytes sent, and bytes that are known to be left.
    pub transferred: i64,
    /// See `transferred`.
    pub remaining: i64,
    /// Bytes of memory.
    pub total: i64,
    /// Pages sent that were all zeros, and others.
    pub duplicate: i64,
    /// See `duplicate`.
    pub normal: i64,
    /// Rounds over memory.
    pub syncs: i64,
    /// Pages written in a second, and sent in a second.
    pub dirty_rate: i64,
    /// See `dirty_rate`.
    pub pages_per_second: u64,
    /// Megabits sent in a second.
    pub mbps: f64,
    /// Bytes sent while the machine ran, and while it stood.
    pub precopy_bytes: u64,
    /// See `precopy_bytes`.
    pub downtime_bytes: u64,
    /// Times in milliseconds.
    pub setup_ms: i64,
    /// Since the beginning.
    pub total_ms: i64,
    /// How long the machine would stand if it did now.
    pub expected_downtime_ms: i64,
    /// How long the machine stood.
    pub downtime_ms: Option<i64>,
}

/// The migration, and what it goes by.
#[derive(Debug)]
pub struct Migration {
    status: Option<MigrationStatus>,
    error: Option<String>,
    events: bool,
    /// Capabilities that are on and change nothing here.
    harmless: BTreeSet<String>,
    parameters: MigrationParameters,
    /// What it has done so far.
    pub figures: Figures,
}

impl Migration {
    /// Are there events of what it does?
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.events
    }

    /// Why the last one failed.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Most bytes that are sent in a second.
    #[must_use]
    pub fn bandwidth(&self) -> Option<u64> {
        self.parameters.max_bandwidth.filter(|limit| *limit != 0)
    }

    /// How long the machine may stand, in milliseconds.
    #[must_use]
    pub fn downtime_ms(&self) -> u64 {
        self.parameters.downtime_limit.unwrap_or(0)
    }
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
        let (harmless, figures) = (BTreeSet::new(), Figures::default());
        Migration { status: None, error: None, events: false, harmless, parameters, figures }
    }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-migrate" (Empty) -> MigrationInfo = |vm, _| Ok(info(vm));
    "query-migrate-capabilities" (Empty) -> Vec<CapabilityStatus> = |vm, _| {
        let migration = &vm.qmp.migration;
        let state = |capability: MigrationCapability| match capability {
            MigrationCapability::Events => migration.events,
            other => migration.harmless.contains(&other.name()),
        };
        let all = MigrationCapability::ALL.iter();
        Ok(all.map(|c| CapabilityStatus { capability: *c, state: state(*c) }).collect())
    };
    "migrate-set-capabilities" (SetCapabilities) -> Empty = set_capabilities;
    "query-migrate-parameters" (Empty) -> MigrationParameters = |vm, _| Ok(vm.qmp.migration.parameters.clone());
    "migrate-set-parameters" (MigrationParameters) -> Empty = set_parameters;
    "migrate" (Migrate) -> Empty = migrate;
    "migrate-incoming" (MigrateIncoming) -> Empty = incoming;
    "migrate_cancel" (Empty) -> Empty = |vm, _| {
        vm.migrate_cancel();
        Ok(Empty {})
    };
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

fn info(vm: &Vm) -> MigrationInfo {
    use MigrationStatus as S;
    let migration = &vm.qmp.migration;
    let f = migration.figures;
    let begun = matches!(migration.status, Some(S::Active | S::Device | S::Completed | S::Cancelling | S::Cancelled));
    let going = migration.status.is_some_and(|s| matches!(s, S::Active | S::Device));
    let ram = (begun && vm.status() != RunState::Inmigrate).then_some(MigrationStats {
        transferred: f.transferred,
        remaining: f.remaining,
        total: f.total,
        duplicate: f.duplicate,
        normal: f.normal,
        normal_bytes: f.normal * PAGE,
        dirty_pages_rate: f.dirty_rate,
        mbps: f.mbps,
        dirty_sync_count: f.syncs,
        postcopy_requests: 0,
        page_size: PAGE,
        multifd_bytes: 0,
        pages_per_second: f.pages_per_second,
        precopy_bytes: f.precopy_bytes,
        downtime_bytes: f.downtime_bytes,
        postcopy_bytes: 0,
        dirty_sync_missed_zero_copy: 0,
    });
    let address = vm.migration_address();
    MigrationInfo {
        status: migration.status,
        total_time: ram.is_some().then_some(f.total_ms),
        expected_downtime: going.then_some(f.expected_downtime_ms).filter(|_| ram.is_some()),
        downtime: f.downtime_ms.filter(|_| ram.is_some()),
        setup_time: ram.is_some().then_some(f.setup_ms),
        ram,
        error_desc: migration.error.clone(),
        blocked_reasons: None,
        socket_address: address.map(|address| vec![address_of(&address)]),
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
    if vm.is_migrating() {
        return Err(Error::new("There's a migration process in progress"));
    }
    for wanted in args.capabilities.iter().filter(|w| HARMLESS.contains(&w.capability)) {
        let name = wanted.capability.name();
        if wanted.state {
            vm.qmp.migration.harmless.insert(name);
        } else {
            vm.qmp.migration.harmless.remove(&name);
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

/// Where a migration goes or comes from.
fn place_in(uri: Option<String>, channels: Option<Vec<MigrationChannel>>) -> Result<Place, Error> {
    match (uri, channels) {
        (Some(uri), None) => place::uri(&uri).map_err(Error::new),
        (None, Some(channels)) => {
            let mut types = BTreeSet::new();
            if let Some(twice) = channels.iter().find(|c| !types.insert(c.channel_type.name())) {
                let name = twice.channel_type.name();
                return Err(Error::new(format!("Channel list has more than one {name} entry")));
            }
            let main = channels.iter().find(|c| c.channel_type == ChannelType::Main);
            let addr = &main.ok_or_else(|| Error::new("Channel list has no main entry"))?.addr;
            place::channel(&addr.transport, &addr.rest).map_err(Error::new)
        }
        _ => Err(Error::new("need either 'uri' or 'channels' argument")),
    }
}

/// What a channel in JSON stands for, as `-incoming` takes one.
///
/// # Errors
/// In one line.
pub fn place_of(text: &str) -> Result<Place, String> {
    let value = serde_json::from_str(text).map_err(|e| format!("-incoming: {e}"))?;
    let channel = MigrationChannel::decode(value, &crate::qmp::schema::Path::Root).map_err(|e| e.to_string())?;
    place_in(None, Some(vec![channel])).map_err(|e| e.to_string())
}

/// A migration begins.
pub fn begin(vm: &mut Vm) {
    vm.qmp.migration.error = None;
    vm.qmp.migration.figures = Figures::default();
    set_status(vm, MigrationStatus::Setup);
}

/// A migration is so far; clients that want to hear it do.
pub fn set_status(vm: &mut Vm, status: MigrationStatus) {
    vm.qmp.migration.status = Some(status);
    if vm.qmp.migration.events {
        vm.emit("MIGRATION", Migrated { status }.encode());
    }
}

/// A migration has failed.
pub fn failed(vm: &mut Vm, why: String) {
    vm.qmp.migration.error = Some(why);
    set_status(vm, MigrationStatus::Failed);
}

fn migrate(vm: &mut Vm, args: Migrate) -> Result<Empty, Error> {
    if args.resume == Some(true) {
        return Err(Error::new("Cannot resume if there is no paused migration"));
    }
    if vm.is_migrating() {
        return Err(Error::new("There's a migration process in progress"));
    }
    if vm.status() == RunState::Inmigrate {
        return Err(Error::new("Guest is waiting for an incoming migration"));
    }
    if vm.status() == RunState::Postmigrate {
        return Err(Error::new("Can't migrate the vm that was paused due to previous migration"));
    }
    let place = place_in(args.uri, args.channels)?;
    vm.migrate(&place).map_err(Error::new)?;
    Ok(Empty {})
}

fn incoming(vm: &mut Vm, args: MigrateIncoming) -> Result<Empty, Error> {
    match vm.options.incoming.as_deref() {
        None => return Err(Error::new("'-incoming' was not specified on the command line")),
        Some("defer") if vm.status() == RunState::Inmigrate => {}
        Some(_) => return Err(Error::new("The incoming migration has already been started")),
    }
    let place = place_in(args.uri, args.channels)?;
    vm.migrate_incoming(&place, args.exit_on_error != Some(false)).map_err(Error::new)?;
    Ok(Empty {})
}
