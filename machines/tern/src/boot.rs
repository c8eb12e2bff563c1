//! `tern boot`: a whole machine.
#![allow(rustdoc::broken_intra_doc_links, reason = "brackets are what the help text shows as optional")]

use crate::{machine, run};
use std::path::PathBuf;
use tern_board::BoardConfig;
use tern_board::config::{
    Bios, BoardOptions, Chardev, ClockMode, Disk, Drive, Net, Rng, RtcBase, Setup, Share, Smp, Spec, Transport,
};
use tern_control::grammar::{Keys, date_ns, mac, size};
use tern_control::parts;
use tern_control::run::{RunOptions, Save};
use tern_host::image::{Cache, Format};
use tern_session::{Dispatch, Items};

/// Options.
#[derive(clap::Args)]
#[command(after_help = "On the terminal, Ctrl-A x ends the machine and Ctrl-A h lists the other escape keys.\n\
                        In values with commas, a comma that belongs to a name is doubled.")]
pub(crate) struct Args {
    /// Board (see `tern list boards`), with `aia=none|aplic|aplic-imsic`, `aia-guests=N`, `aclint=on`
    #[arg(long, value_name = "ISA/NAME[,OPTION=VALUE]", default_value = "riscv64/virt", value_parser = board)]
    board: (String, BoardOptions),
    /// How many CPUs: a number, or cpus=, sockets=, cores=, threads=
    #[arg(long, value_name = "N", value_parser = smp)]
    smp: Option<Smp>,
    /// RAM: a number with K, M or G, or of MiB
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = memory)]
    memory: u64,
    /// CPU model or ISA string (see `tern list cpus`)
    #[arg(long, value_name = "ISA")]
    cpu: Option<String>,
    /// What runs first: OpenSBI where distributions install it, nothing, tern's own SBI, or a file
    #[arg(long, value_name = "default|none|builtin|FILE", default_value = "default")]
    bios: String,
    /// Kernel: ELF, Image (also compressed), EFI stub or uImage
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// First root file system of a Linux kernel
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// The kernel's command line
    #[arg(long, value_name = "WORDS", requires = "kernel", allow_hyphen_values = true)]
    append: Option<String>,
    /// A device tree instead of the board's own
    #[arg(long, value_name = "FILE")]
    dtb: Option<PathBuf>,
    /// Write the device tree to FILE and run nothing
    #[arg(long, value_name = "FILE")]
    dump_dtb: Option<PathBuf>,
    /// A disk: FILE[,format=raw|qcow2][,readonly][,discard][,snapshot][,cache=MODE][,serial=S][,queues=N][,bus=mmio|pci]
    #[arg(long, value_name = "FILE[,...]", value_parser = disk)]
    disk: Vec<Disk>,
    /// Contents of a flash bank: FILE[,format=raw|qcow2][,readonly][,snapshot]; the second one is the other bank's
    #[arg(long, value_name = "FILE[,...]", value_parser = flash)]
    flash: Vec<Drive>,
    /// A network: user[,hostfwd=...], tap,ifname=NAME, socket,listen=|connect=..., none; [,mac=ADDR][,pcap=FILE][,bus=mmio|pci]
    #[arg(long, value_name = "KIND[,...]", value_parser = net)]
    net: Vec<Net>,
    /// A shared folder: DIR[,tag=NAME][,readonly][,security_model=none|passthrough|mapped-xattr][,bus=mmio|pci]
    #[arg(long, value_name = "DIR[,...]", value_parser = share)]
    share: Vec<Share>,
    /// What stands behind a serial port: stdio, mon:stdio (with escape keys; the first port's default), null, file:NAME
    #[arg(long, value_name = "WHAT", value_parser = parts::serial)]
    serial: Vec<Setup>,
    /// A virtio console: as --serial, with [,bus=mmio|pci]
    #[arg(long, value_name = "WHAT[,...]", value_parser = console)]
    console: Vec<(Setup, Transport)>,
    /// A virtio entropy device that draws from the host (or --seed), or from a file: [file=NAME][,bus=mmio|pci]
    #[arg(long, value_name = "OPTIONS", num_args = 0..=1, default_missing_value = "", value_parser = rng)]
    rng: Vec<Rng>,
    /// What guest time follows: instructions[,shift=N][,unpaced] (the same in every run but for input), or host
    #[arg(long, value_name = "WHAT", default_value = "instructions", value_parser = clock)]
    clock: (ClockMode, bool),
    /// Seed of everything random that the machine itself makes
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The real-time clock at power-on: utc (the host's), or a date as 2006-06-17T16:01:21
    #[arg(long, value_name = "WHEN", default_value = "utc", value_parser = rtc)]
    rtc: RtcBase,
    /// A reset that the guest asks for ends the run
    #[arg(long)]
    no_reboot: bool,
    /// Write the snapshot of --save after N instructions, not at the end
    #[arg(long, value_name = "N", requires = "save", value_parser = count)]
    snapshot_at: Option<u64>,
    /// Write a snapshot
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Begin with a snapshot of a machine that is built alike
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
    /// End after N instructions, counted from power-on
    #[arg(long, value_name = "N", value_parser = count)]
    until: Option<u64>,
    /// Print position and digest of the whole state every N instructions and at the end
    #[arg(long, value_name = "N", value_parser = count)]
    digest_every: Option<u64>,
    /// A gdb server, for which the machine waits before its first instruction: a port, or as qemu-system's -gdb
    #[arg(long, value_name = "PORT|DEV", value_parser = gdb)]
    gdb: Option<Setup>,
    /// Write tern's process number to FILE
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Log ITEMS, separated by commas (see `tern list log`)
    #[arg(long, value_name = "ITEMS", value_parser = run::items)]
    log: Option<Items>,
    /// Write the log to FILE instead of standard error
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Print figures about the run at its end
    #[arg(long)]
    stats: bool,
    /// The interpreter's dispatcher
    #[arg(long, value_name = "loop|tail", value_parser = run::dispatch)]
    dispatch: Option<Dispatch>,
    /// Size of the translation cache in 64-bit words
    #[arg(long, value_name = "N", value_parser = run::cache_words)]
    cache_words: Option<usize>,
}

/// Where the gdb server is: a port of this host, or what `-gdb` takes.
fn gdb(text: &str) -> Result<Setup, String> {
    match text.parse::<u16>() {
        Ok(port) => tern_control::gdb::setup(&format!("tcp:127.0.0.1:{port}")),
        Err(_) => tern_control::gdb::setup(text),
    }
}

/// Runs the machine; the status is the guest's.
pub(crate) fn run(args: Args) -> anyhow::Result<u8> {
    let (config, options) = machine_of(args)?;
    machine::run(&config, &options)
}

/// What the options say.
pub(crate) fn machine_of(args: Args) -> anyhow::Result<(BoardConfig, RunOptions)> {
    let (name, board) = args.board;
    let mut config = BoardConfig::new(name);
    config.options = board;
    config.smp = args.smp.unwrap_or_default();
    config.memory = args.memory;
    config.cpu = args.cpu;
    config.bios = match args.bios.as_str() {
        "default" => Bios::Default,
        "none" => Bios::None,
        "builtin" => Bios::Builtin,
        file => Bios::File(file.into()),
    };
    config.kernel = args.kernel;
    config.initrd = args.initrd;
    config.append = args.append.unwrap_or_default();
    config.dtb = args.dtb;
    config.dump_dtb = args.dump_dtb;
    args.disk.into_iter().for_each(|disk| config.add_disk(disk));
    anyhow::ensure!(args.flash.len() <= config.flash.len(), "--flash: there are {} banks", config.flash.len());
    args.flash.into_iter().enumerate().for_each(|(bank, drive)| config.add_flash(bank, drive));
    args.net.into_iter().for_each(|net| config.add_net(net));
    let mut shares = args.share;
    tags(&mut shares)?;
    shares.into_iter().for_each(|share| config.add_share(share));
    let terminal = |c: &Setup| matches!(c.spec, Spec::Stdio { .. });
    let elsewhere = args.console.iter().any(|(what, _)| terminal(what));
    let mut serials = args.serial;
    if serials.is_empty() {
        let what = if elsewhere { "null" } else { "mon:stdio" };
        serials.push(parts::serial(what).map_err(anyhow::Error::msg)?);
    }
    serials.into_iter().for_each(|what| config.add_serial(what));
    args.console.into_iter().for_each(|(what, transport)| config.add_console(what, transport));
    args.rng.into_iter().for_each(|rng| config.add_rng(rng));
    config.rtc = args.rtc;
    config.seed = args.seed;
    let mut options = RunOptions::new("tern");
    options.actions.reboot_ends = args.no_reboot;
    if let Some(setup) = args.gdb {
        config.chardevs.push(Chardev { id: "gdb".to_owned(), setup });
        (options.gdb, options.paused) = (Some("gdb".to_owned()), true);
    }
    (config.clock, options.paced) = args.clock;
    options.engine.dispatch = args.dispatch.unwrap_or(options.engine.dispatch);
    options.engine.cache_words = args.cache_words.unwrap_or(options.engine.cache_words);
    options.items = args.log.unwrap_or(Items::NONE);
    options.log_file = args.log_file;
    options.pid_file = args.pidfile;
    options.load = args.load;
    options.save = args.save.map(|file| Save { at: args.snapshot_at, file });
    options.until = args.until;
    options.digest_every = args.digest_every;
    options.stats = args.stats;
    Ok((config, options))
}

/// Gives tags to folders that have none, and sees that none is given twice.
fn tags(shares: &mut [Share]) -> anyhow::Result<()> {
    for n in 0..shares.len() {
        if shares[n].tag.is_empty() {
            shares[n].tag = if n == 0 { "share".to_owned() } else { format!("share{n}") };
        }
        let (before, this) = shares.split_at(n);
        let twice = before.iter().any(|s| s.tag == this[0].tag);
        anyhow::ensure!(!twice, "--share: two folders have the tag `{}`", this[0].tag);
    }
    Ok(())
}

fn board(text: &str) -> Result<(String, BoardOptions), String> {
    let mut keys = Keys::parse(text, Some("board"))?;
    let name = keys.need("board")?;
    let name = if name.contains('/') { name } else { format!("riscv64/{name}") };
    let mut options = BoardOptions::default();
    parts::board_options(&mut keys, &mut options)?;
    keys.done()?;
    Ok((name, options))
}

fn smp(text: &str) -> Result<Smp, String> {
    let mut keys = Keys::parse(text, Some("cpus"))?;
    let smp = Smp::new(keys.number("cpus")?, keys.number("sockets")?, keys.number("cores")?, keys.number("threads")?)?;
    keys.done()?;
    Ok(smp)
}

fn memory(text: &str) -> Result<u64, String> {
    size(text, 20).filter(|n| *n != 0).ok_or_else(|| "a size as 512M or 2G is wanted".to_owned())
}

fn count(text: &str) -> Result<u64, String> {
    size(text, 0).filter(|n| *n != 0).ok_or_else(|| "a number from 1 on is wanted".to_owned())
}

fn transport(keys: &mut Keys) -> Result<Transport, String> {
    match keys.take("bus").as_deref() {
        None => Ok(Transport::Any),
        Some("mmio") => Ok(Transport::Mmio),
        Some("pci") => Ok(Transport::Pci),
        Some(other) => Err(format!("bus={other}: mmio or pci is wanted")),
    }
}

/// A medium: `FILE,format=,readonly,discard,snapshot,cache=`.
fn drive(keys: &mut Keys) -> Result<Drive, String> {
    let mut drive = Drive::new(keys.take("file").filter(|f| !f.is_empty()).ok_or("a file is wanted")?);
    if let Some(name) = keys.take("format") {
        Format::by_name(&name).ok_or_else(|| format!("format={name}: raw or qcow2 is wanted"))?;
        drive.format = Some(name);
    }
    drive.read_only = keys.switch("readonly")?.unwrap_or(false);
    drive.discard = keys.switch("discard")?.unwrap_or(false);
    drive.snapshot = keys.switch("snapshot")?.unwrap_or(false);
    if let Some(name) = keys.take("cache") {
        Cache::by_name(&name)
            .ok_or_else(|| format!("cache={name}: writeback, none, writethrough, directsync or unsafe is wanted"))?;
        drive.cache = Some(name);
    }
    Ok(drive)
}

fn disk(text: &str) -> Result<Disk, String> {
    let mut keys = Keys::parse(text, Some("file"))?;
    let drive = drive(&mut keys)?;
    let serial = keys.take("serial").unwrap_or_default();
    let queues = keys.number("queues")?;
    if queues == Some(0) {
        return Err("queues=0: a number from 1 on is wanted".to_owned());
    }
    let transport = transport(&mut keys)?;
    keys.done()?;
    Ok(Disk { drive, transport, serial, queues })
}

fn flash(text: &str) -> Result<Drive, String> {
    let mut keys = Keys::parse(text, Some("file"))?;
    let drive = drive(&mut keys)?;
    keys.done()?;
    Ok(drive)
}

fn net(text: &str) -> Result<Net, String> {
    let mut keys = Keys::parse(text, Some("kind"))?;
    let kind = keys.need("kind")?;
    let mac = keys.take("mac").map(|text| mac(&text)).transpose()?;
    let dump = keys.take("pcap").map(PathBuf::from);
    let transport = transport(&mut keys)?;
    let link = match kind.as_str() {
        "none" => None,
        "tap" | "user" | "socket" => {
            let options = core::mem::take(&mut keys).rest().into_iter();
            // The host room reads them as text, in which a comma is doubled.
            let options = options.map(|(key, value)| format!(",{key}={}", value.replace(',', ",,")));
            Some(kind + &options.collect::<String>())
        }
        _ => return Err(format!("`{kind}`: user, tap, socket or none is wanted")),
    };
    keys.done()?;
    Ok(Net { link, transport, mac, dump })
}

fn share(text: &str) -> Result<Share, String> {
    let mut keys = Keys::parse(text, Some("path"))?;
    let path = keys.take("path").filter(|p| !p.is_empty()).ok_or("a folder is wanted")?;
    let tag = keys.take("tag").unwrap_or_default();
    if tag.len() > 32 {
        return Err("a tag has at most 32 bytes".to_owned());
    }
    let security_model = keys.take("security_model").unwrap_or_else(|| "none".to_owned());
    if !["none", "passthrough", "mapped-xattr"].contains(&security_model.as_str()) {
        return Err(format!("security_model={security_model}: none, passthrough or mapped-xattr is wanted"));
    }
    let read_only = keys.switch("readonly")?.unwrap_or(false);
    let transport = transport(&mut keys)?;
    keys.done()?;
    Ok(Share { path: path.into(), tag, read_only, security_model, transport })
}

fn console(text: &str) -> Result<(Setup, Transport), String> {
    let mut keys = Keys::parse(text, Some("what"))?;
    let backend = parts::serial(&keys.need("what")?)?;
    let transport = transport(&mut keys)?;
    keys.done()?;
    Ok((backend, transport))
}

fn rng(text: &str) -> Result<Rng, String> {
    let mut keys = Keys::parse(text, None)?;
    let file = keys.take("file").map(PathBuf::from);
    let transport = transport(&mut keys)?;
    keys.done()?;
    Ok(Rng { file, transport })
}

/// The clock, and whether a machine that waits is paced.
fn clock(text: &str) -> Result<(ClockMode, bool), String> {
    let mut keys = Keys::parse(text, Some("clock"))?;
    let mode = match keys.need("clock")?.as_str() {
        "host" => (ClockMode::Host, true),
        "instructions" => {
            let shift = keys.number::<u8>("shift")?;
            if shift.is_some_and(|n| n > 10) {
                return Err("shift: a number from 0 to 10 is wanted".to_owned());
            }
            (ClockMode::Instructions { shift }, !keys.switch("unpaced")?.unwrap_or(false))
        }
        other => return Err(format!("`{other}`: instructions or host is wanted")),
    };
    keys.done()?;
    Ok(mode)
}

fn rtc(text: &str) -> Result<RtcBase, String> {
    match text {
        "utc" => Ok(RtcBase::Utc),
        date => {
            date_ns(date).map(RtcBase::At).ok_or_else(|| "utc or a date as 2006-06-17T16:01:21 is wanted".to_owned())
        }
    }
}
