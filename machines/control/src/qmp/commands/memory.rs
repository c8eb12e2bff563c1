//! Memory: what there is, balloons, memory written to files (QEMU QMP Reference Manual, "Machines").

use crate::qmp::command::{Class, Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;
use std::fs::File;
use std::io::Write as _;
use tern_devices::virtio::VirtioMmio;
use tern_devices::virtio::balloon::TARGET_PORT;

qapi! {
    /// How the host places memory.
    enum HostMemPolicy { Default, Preferred, Bind, Interleave }
    /// A memory backend.
    struct Memdev {
        id: Option<String>, size: u64, merge: bool, dump: bool, prealloc: bool, share: bool, reserve: Option<bool>,
        host_nodes: Vec<u16>, policy: HostMemPolicy,
    }
    /// The guest's memory, in bytes.
    struct Balloon { actual: i64 }
    /// The guest's memory as it is to be, in bytes.
    struct BalloonArgs { value: i64 }
    /// Memory, in bytes.
    struct MemorySummary { base_memory: u64, plugged_memory: Option<u64> }
    /// A memory module.
    struct Dimm {
        id: Option<String>, addr: i64, size: i64, slot: i64, node: i64, memdev: String, hotplugged: bool,
        hotpluggable: bool,
    }
    /// The same, wrapped.
    struct DimmWrapped { data: Dimm }
    /// A device with memory.
    union MemoryDevice { ; by "type" as MemoryDeviceKind; Dimm(DimmWrapped), Nvdimm(DimmWrapped) }
    /// Of guest-virtual memory, where and how much of it is written to a file.
    struct MemorySave { val: u64, size: u64, filename: String, cpu_index: Option<i64> }
    /// The same of physical memory.
    struct PhysicalSave { val: u64, size: u64, filename: String }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-memdev" [preconfig] (Empty) -> Vec<Memdev> = |vm, _| Ok(memdevs(vm));
    "query-memory-size-summary" (Empty) -> MemorySummary = |vm, _| {
        Ok(MemorySummary { base_memory: vm.config.memory, plugged_memory: None })
    };
    "query-memory-devices" (Empty) -> Vec<MemoryDevice> = |_, _| Ok(Vec::new());
    "query-balloon" (Empty) -> Balloon = |vm, _| {
        let given_up = u64::from(given_up(vm).ok_or_else(no_balloon)?) * PAGE;
        Ok(Balloon { actual: vm.config.memory.saturating_sub(given_up) as i64 })
    };
    "balloon" (BalloonArgs) -> Empty = balloon;
    "memsave" (MemorySave) -> Empty = save_virtual;
    "pmemsave" (PhysicalSave) -> Empty = save_physical;
};

/// A page of balloons, in bytes (Virtual I/O Device 1.2, 5.5.6).
const PAGE: u64 = 4096;
/// How much is copied at once, in bytes.
const PIECE: u64 = 1 << 16;

fn memdev(id: Option<&str>, size: u64, share: bool, prealloc: bool) -> Memdev {
    Memdev {
        id: id.map(str::to_owned),
        size,
        merge: false,
        dump: true,
        prealloc,
        share,
        reserve: Some(true),
        host_nodes: Vec::new(),
        policy: HostMemPolicy::Default,
    }
}

fn memdevs(vm: &Vm) -> Vec<Memdev> {
    let world = vm.host.world();
    let made = world.objects.iter().filter(|(_, made)| made.kind.parents.contains(&"memory-backend"));
    let made =
        made.map(|(id, m)| memdev(Some(id), m.props.number("size"), m.props.bool("share"), m.props.bool("prealloc")));
    let own = (vm.config.memory_object.is_none() && vm.config.memory != 0)
        .then(|| memdev(None, vm.config.memory, false, false));
    made.chain(own).collect()
}

fn no_balloon() -> Error {
    Error::of(Class::DeviceNotActive, "No balloon device has been activated")
}

/// The configuration of the balloon: two numbers of pages, how many are wanted and how many are given up.
fn given_up(vm: &mut Vm) -> Option<u32> {
    let plugged = vm.board.plugged().iter().find(|p| p.kind().is_some_and(|k| k.model.name == "virtio-balloon"))?;
    let place = plugged.place;
    let port = vm.board.port_of(plugged, TARGET_PORT)?;
    let config = match place {
        tern_board::build::Place::Pci(function) => vm.board.pci()?.function(function)?.virtio()?.config(),
        _ => vm.board.machine.device_as::<VirtioMmio>(port.device)?.inside()?.config(),
    };
    config.get(4..8)?.first_chunk::<4>().map(|b| u32::from_le_bytes(*b))
}

fn balloon(vm: &mut Vm, args: BalloonArgs) -> Result<Empty, Error> {
    let plugged = vm.board.plugged().iter().find(|p| p.kind().is_some_and(|k| k.model.name == "virtio-balloon"));
    let port = plugged.and_then(|p| vm.board.port_of(p, TARGET_PORT)).ok_or_else(no_balloon)?;
    let target = u64::try_from(args.value).ok().filter(|n| *n > 0);
    let target = target.ok_or_else(|| Error::new("Parameter 'target' expects a size"))?;
    let pages = vm.config.memory.saturating_sub(target) / PAGE;
    let pages = u32::try_from(pages).unwrap_or(u32::MAX);
    vm.board.machine.deliver(port.device, port.port, pages.to_le_bytes().to_vec());
    Ok(Empty {})
}

fn create(name: &str) -> Result<File, Error> {
    File::create(name).map_err(|e| Error::new(format!("Could not open '{name}': {e}")))
}

/// Writes memory to a file, piece by piece.
fn save(
    name: &str,
    from: u64,
    size: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), Error>,
) -> Result<Empty, Error> {
    let mut file = create(name)?;
    let mut piece = vec![0; PIECE as usize];
    let mut done = 0;
    while done < size {
        let n = (size - done).min(PIECE);
        let bytes = &mut piece[..n as usize];
        read(from.wrapping_add(done), bytes)?;
        file.write_all(bytes).map_err(|e| Error::new(format!("writing memory to '{name}' failed: {e}")))?;
        done += n;
    }
    Ok(Empty {})
}

fn save_virtual(vm: &mut Vm, args: MemorySave) -> Result<Empty, Error> {
    let cpu = usize::try_from(args.cpu_index.unwrap_or(0)).ok().filter(|n| *n < vm.board.machine.cpus());
    let cpu = cpu.ok_or_else(|| Error::new("Parameter 'cpu-index' expects a CPU number"))?;
    let (from, size) = (args.val, args.size);
    let machine = &mut vm.board.machine;
    save(&args.filename, from, size, |at, bytes| {
        let wrong = format!("Invalid addr 0x{from:016x}/size {size} specified");
        machine.read_virtual(cpu, at, bytes).map_err(|_| Error::new(wrong))
    })
}

fn save_physical(vm: &mut Vm, args: PhysicalSave) -> Result<Empty, Error> {
    let machine = &mut vm.board.machine;
    let mut nothing = 0_u64;
    save(&args.filename, args.val, args.size, |at, bytes| {
        // What is nowhere reads as zeros, but nobody wants terabytes of that.
        nothing = if machine.physical().read(at, bytes) { 0 } else { nothing + bytes.len() as u64 };
        match nothing > MOST_NOTHING {
            true => Err(Error::new(format!("there is no memory at 0x{at:x}"))),
            false => Ok(()),
        }
    })
}

/// Bytes in a row that are nowhere, after which a file of memory is given up.
const MOST_NOTHING: u64 = 1 << 30;
