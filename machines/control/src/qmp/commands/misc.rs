//! Descriptors, options, other monitors (QEMU QMP Reference Manual, "Miscellanea", "Yank feature", "User authorization").

use crate::qemu::options;
use crate::qmp::command::{Class, Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;

qapi! {
    /// The machine's name.
    struct NameInfo { name: Option<String> }
    /// A thread for disks.
    struct IoThread {
        id: String, thread_id: i64, poll_max_ns: i64, poll_grow: i64, poll_shrink: i64, aio_max_batch: i64,
    }
    /// A line for the human monitor.
    struct HumanCommand { command_line: String, cpu_index: Option<i64> }
    /// A descriptor by its name.  These names have no dashes.
    struct FdName { fdname: String }
    /// A descriptor for a set.
    struct AddFd { fdset_id: Option<i64>, opaque: Option<String> }
    /// A descriptor in a set.
    struct AddedFd { fdset_id: i64, fd: i64 }
    /// A descriptor of a set; all of them if none is named.
    struct RemoveFd { fdset_id: i64, fd: Option<i64> }
    /// A descriptor of a set.
    struct FdInfo { fd: i64, opaque: Option<String> }
    /// A set of descriptors.
    struct FdsetInfo { fdset_id: i64, fds: Vec<FdInfo> }
    /// A descriptor for a server.
    struct AddClient { protocol: String, fdname: String, skipauth: Option<bool>, tls: Option<bool> }
    /// Which option.
    struct OptionArgs { option: Option<String> }
    /// What an option's parameter is.
    enum ParameterType { String, Boolean, Number, Size }
    /// A parameter of an option.
    struct ParameterInfo { name: String, r#type: ParameterType, help: Option<String>, default: Option<String> }
    /// An option of the command line.
    struct OptionInfo { option: String, parameters: Vec<ParameterInfo> }
    /// A node whose connection can be cut.
    struct YankNode { node_name: String }
    /// A character device whose connection can be cut.
    struct YankChardev { id: String }
    /// Nothing more.
    struct YankMigration {}
    /// A connection that can be cut.
    union YankInstance {
        ; by "type" as YankKind; BlockNode(YankNode), Chardev(YankChardev), Migration(YankMigration),
    }
    /// Connections to be cut.
    struct Yank { instances: Vec<YankInstance> }
    /// Which trace points.
    struct TraceName { name: String }
    /// Whether trace points are to be on.
    struct TraceSet { name: String, enable: bool, ignore_unavailable: Option<bool> }
    /// Whether a trace point is on.
    enum TraceState { Unavailable, Disabled, Enabled }
    /// A trace point.
    struct TraceInfo { name: String, state: TraceState }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-name" [preconfig] (Empty) -> NameInfo = |vm, _| Ok(NameInfo { name: vm.options.guest_name.clone() });
    "query-iothreads" [preconfig] (Empty) -> Vec<IoThread> = |vm, _| Ok(io_threads(vm));
    "human-monitor-command" (HumanCommand) -> String = human;
    "query-command-line-options" [preconfig] (OptionArgs) -> Vec<OptionInfo> = command_line;
    "query-yank" [oob] (Empty) -> Vec<YankInstance> = |_, _| Ok(Vec::new());
    "yank" [oob] (Yank) -> Empty = |_, args| match args.instances.first() {
        None => Ok(Empty {}),
        Some(instance) => Err(Error::of(Class::DeviceNotFound, not_there(instance))),
    };
    "getfd" (FdName) -> Empty = |vm, args| {
        let fd = vm.qmp.fds.take()?;
        let named = vm.host.world().nets.commons.descriptors.insert(&args.fdname, fd);
        named.map_err(|_| Error::new("Parameter 'fdname' expects a name not starting with a digit"))?;
        Ok(Empty {})
    };
    "closefd" (FdName) -> Empty = |vm, args| match vm.host.world().nets.commons.descriptors.close(&args.fdname) {
        true => Ok(Empty {}),
        false => Err(Error::new(format!("File descriptor named '{}' not found", args.fdname))),
    };
    "add-fd" (AddFd) -> AddedFd = |vm, args| vm.qmp.fds.add(args.fdset_id, args.opaque);
    "remove-fd" (RemoveFd) -> Empty = |vm, args| vm.qmp.fds.remove(args.fdset_id, args.fd).map(|()| Empty {});
    "query-fdsets" (Empty) -> Vec<FdsetInfo> = |vm, _| Ok(vm.qmp.fds.list());
    "add_client" (AddClient) -> Empty = add_client;
    "trace-event-get-state" (TraceName) -> Vec<TraceInfo> = |_, args| no_trace(&args.name, Vec::new());
    "trace-event-set-state" (TraceSet) -> Empty = |_, args| match args.ignore_unavailable {
        Some(true) => Ok(Empty {}),
        _ => no_trace(&args.name, Empty {}),
    };
};

/// There are no trace points; a pattern matches none of them.
fn no_trace<T>(name: &str, none: T) -> Result<T, Error> {
    if name.contains('*') { Ok(none) } else { Err(Error::new(format!("unknown event \"{name}\""))) }
}

/// Gives a connection to a character device that waits for one; there are no other servers.
fn add_client(vm: &mut Vm, args: AddClient) -> Result<Empty, Error> {
    let world = &mut *vm.host.world();
    let fd = world.nets.commons.descriptors.take(&args.fdname);
    let fd = fd.map_err(|_| Error::new(format!("File descriptor named '{}' has not been found", args.fdname)))?;
    let chardev = world.chars.find(&args.protocol);
    let chardev = chardev.ok_or_else(|| Error::new(format!("protocol '{}' is invalid", args.protocol)))?;
    chardev.handle().add_client(fd).map_err(|why| Error::new(format!("failed to add client: {why}")))?;
    Ok(Empty {})
}

fn not_there(instance: &YankInstance) -> String {
    match &instance.kind {
        YankKind::BlockNode(node) => format!("yank: Instance of type block-node not found: {}", node.node_name),
        YankKind::Chardev(chardev) => format!("yank: Instance of type chardev not found: {}", chardev.id),
        YankKind::Migration(_) => "yank: Instance of type migration not found".to_owned(),
    }
}

fn io_threads(vm: &Vm) -> Vec<IoThread> {
    let world = vm.host.world();
    let threads = world.objects.iter().filter(|(_, made)| made.kind.name == "iothread");
    threads
        .map(|(id, made)| {
            let number = |name| made.props.number(name) as i64;
            IoThread {
                id: id.to_owned(),
                // All I/O is done by the thread that does everything.
                thread_id: std::process::id().into(),
                poll_max_ns: number("poll-max-ns"),
                poll_grow: number("poll-grow"),
                poll_shrink: number("poll-shrink"),
                aio_max_batch: number("aio-max-batch"),
            }
        })
        .collect()
}

fn human(vm: &mut Vm, args: HumanCommand) -> Result<String, Error> {
    let before = vm.current_cpu;
    if let Some(cpu) = args.cpu_index {
        let cpu = usize::try_from(cpu).ok().filter(|n| *n < vm.board.machine.cpus());
        vm.current_cpu = cpu.ok_or_else(|| Error::new("Parameter 'cpu-index' expects a CPU number"))?;
    }
    // Lines end as on a terminal.
    let text = crate::hmp::run(vm, &args.command_line).replace('\n', "\r\n");
    if args.cpu_index.is_some() {
        vm.current_cpu = before;
    }
    Ok(text)
}

/// What the rows of the command line's options say.
fn command_line(_: &mut Vm, args: OptionArgs) -> Result<Vec<OptionInfo>, Error> {
    // Managers take a listed option for something that can be on.
    let all = options()
        .filter(|(_, arg)| *arg != "off")
        .map(|(option, arg)| OptionInfo { option: option.to_owned(), parameters: parameters(arg) });
    match args.option {
        None => Ok(all.collect()),
        Some(name) => {
            let found: Vec<OptionInfo> = all.filter(|o| o.option == name).collect();
            if found.is_empty() { Err(Error::new(format!("invalid option name: {name}"))) } else { Ok(found) }
        }
    }
}

/// The parameters in the help of an option: `[cpus=]n[,sockets=n][,strict=on|off]`.
fn parameters(arg: &str) -> Vec<ParameterInfo> {
    let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let parts = arg.split(',').filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        let name: String = name.chars().rev().take_while(|c| word(*c)).collect();
        Some((name.chars().rev().collect::<String>(), value))
    });
    parts
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| {
            let r#type = match value.trim_matches(['[', ']', '.']) {
                "on|off" => ParameterType::Boolean,
                "n" => ParameterType::Number,
                "size" => ParameterType::Size,
                _ => ParameterType::String,
            };
            ParameterInfo { name, r#type, help: None, default: None }
        })
        .collect()
}
